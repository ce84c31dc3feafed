#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""make demo: the shipped models on real images, then one of them learns new objects, all on a CPU.

DIR gets sheet.png and index.html (what was found, AP before and after), and a folder for each step.
The images come with the repository, in demo/.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import html
import json
import shutil
import time
from pathlib import Path

import cv2
import numpy as np

from smallobj_mm.benchmark.training_time import measure_training_time
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import UserError, errors_in_one_line
from smallobj_mm.utils.io import atomic_write_bytes, atomic_write_text
from smallobj_mm.utils.processes import run_tool
from smallobj_mm.visualization.contact_sheet import contact_sheet
from smallobj_mm.weights import shipped_weights

TOOLS = Path(__file__).resolve().parent
INFER, TEST, TRAIN = TOOLS / 'infer.py', TOOLS / 'test.py', TOOLS / 'train.py'
IMAGES = TOOLS.parent / 'demo'
DETECTOR, CONFIG = 'obsdm_t_hituav', TOOLS.parent / 'configs' / 'obsdm' / 'obsdm_t_demo.py'
METRIC = 'smallobj/AP50'
#: Seconds of the whole, to which a slow machine shortens the training, and its fewest steps.
WHOLE, FEWEST = 250, 100
#: px, of a picture on the sheet.
WIDTH = 480
#: By which the page of a demo is known.
_TITLE = '<title>smallobj_mm demo</title>'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('dir', type=Path, help='folder of all that is made')
    parser.add_argument('--segmentor', default='ismallnet_s_nuaa', help='(default: %(default)s)')
    parser.add_argument(
        '--iterations', type=int,
        help='of the training (default: those of the config, fewer on a slow machine)',
    )  # fmt: skip
    return parser.parse_args(argv)


def fitting_iterations(seconds: float) -> int:
    """Steps of the training: those of the config, or as many as fit into some seconds."""
    measured = measure_training_time(read_config(CONFIG, {'data_root': f'{IMAGES / "drones"}/'}))
    return min(measured.steps, max(FEWEST, int(seconds / measured.step)))


def ap50_of_test(folder: Path) -> float:
    """AP50 that ``tools/test.py`` left in its work-dir.

    Raises:
        UserError: There is none.
    """
    for file in sorted(folder.glob('*/*.json'), reverse=True):
        metrics = json.loads(file.read_text(encoding='utf-8'))
        if METRIC in metrics:
            return float(metrics[METRIC])
    raise UserError(f'{folder}: no */*.json with {METRIC}, expected what tools/test.py writes')


def pictures_of(folder: Path, most: int) -> list[np.ndarray]:
    """The first pictures of a result folder, as wide as those of the sheet."""
    files = [file for file in sorted((folder / 'pictures').rglob('*')) if file.is_file()]
    pictures = []
    for file in files[:most]:
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is not None:
            height = round(image.shape[0] * WIDTH / image.shape[1])
            pictures.append(cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA))
    return pictures


def titled(text: str, pictures: list[np.ndarray], columns: int = 4) -> np.ndarray:
    """A row of pictures under a line of text."""
    sheet = contact_sheet(pictures, columns)
    title = np.full((44, sheet.shape[1], 3), 255, np.uint8)
    cv2.putText(title, text, (6, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (40, 40, 40), 2, cv2.LINE_AA)
    return np.concatenate([title, sheet])


def write_page(folder: Path, rows: list[tuple[str, np.ndarray]]) -> None:
    """Write ``sheet.png`` and ``index.html``."""
    width = max(picture.shape[1] for _, picture in rows)
    padded = [
        cv2.copyMakeBorder(p, 0, 12, 0, width - p.shape[1], cv2.BORDER_CONSTANT, value=(255,) * 3)
        for _, p in rows
    ]
    done, data = cv2.imencode('.png', np.concatenate(padded))
    if not done:
        raise UserError(f'{folder / "sheet.png"}: the picture cannot be encoded')
    atomic_write_bytes(folder / 'sheet.png', data.tobytes())
    parts = []
    for number, (text, picture) in enumerate(rows):
        name = f'row{number}.jpg'
        atomic_write_bytes(folder / name, cv2.imencode('.jpg', picture)[1].tobytes())
        parts.append(f'<h2>{html.escape(text)}</h2>\n<img src="{name}" style="max-width:100%">')
    page = '<!doctype html>\n<meta charset="utf-8">\n' + _TITLE + '\n'
    atomic_write_text(folder / 'index.html', page + '\n'.join(parts) + '\n')


def clear(folder: Path) -> None:
    """Remove what an earlier demo made in a folder, and mark the folder as a demo's.

    Raises:
        UserError: The folder has some of it, but is no earlier demo's.
    """
    steps = [folder / name for name in ('detections', 'targets', 'before', 'training', 'after')]
    found = [step.name for step in steps if step.exists()]
    mark = folder / 'index.html'
    if found and not (
        mark.is_file() and _TITLE in mark.read_text(encoding='utf-8', errors='replace')
    ):
        raise UserError(
            f'{folder}: has {", ".join(found)}, which no demo made (its index.html is missing); '
            'give another folder'
        )
    for step in steps:
        shutil.rmtree(step, ignore_errors=True)
    atomic_write_text(mark, f'<!doctype html>\n{_TITLE}\n<p>The demo did not end.\n')


def main(argv: list[str] | None = None) -> None:
    """All steps."""
    args = parse_args(argv)
    start = time.monotonic()
    clear(args.dir)

    print('== demo 1/4: the shipped detector on thermal drone images (HIT-UAV)', flush=True)
    detections, targets = args.dir / 'detections', args.dir / 'targets'
    run_tool(INFER, IMAGES / 'hituav' / 'JPEGImages', '--config', DETECTOR, '--out', detections,
        '--pictures')  # fmt: skip
    print('== demo 2/4: the shipped segmentor on thermal video of drones', flush=True)
    run_tool(INFER, IMAGES / 'drones' / 'val', '--config', args.segmentor, '--out', targets,
        '--pictures')  # fmt: skip

    print('== demo 3/4: the detector learns airplanes, birds, drones and helicopters', flush=True)
    before, training, after = (args.dir / name for name in ('before', 'training', 'after'))
    data = f'data_root={IMAGES / "drones"}/'
    test = ('--cfg-options', data, '--work-dir')
    run_tool(TEST, CONFIG, shipped_weights(DETECTOR), *test, before)
    # What comes after the training takes as long as what came before it.
    left = WHOLE - 2 * (time.monotonic() - start)
    iterations = args.iterations or fitting_iterations(left)
    options = [data, f'load_from={shipped_weights(DETECTOR)}', f'max_iters={iterations}']
    run_tool(TRAIN, CONFIG, '--work-dir', training, '--cfg-options', *options)
    checkpoint = (training / 'last_checkpoint').read_text(encoding='utf-8').strip()

    print('== demo 4/4: what it learned, on videos that it has not seen', flush=True)
    run_tool(TEST, CONFIG, checkpoint, *test, after / 'test')
    run_tool(INFER, IMAGES / 'drones' / 'val', '--config', CONFIG, '--weights', checkpoint,
        '--out', after, '--pictures')  # fmt: skip
    values = ap50_of_test(before), ap50_of_test(after / 'test')
    learned = f'AP50 {values[0]:.3f} before, {values[1]:.3f} after training on 127 frames'
    rows = [
        (f'{DETECTOR} on HIT-UAV', pictures_of(detections, 8)),
        (f'{args.segmentor} on thermal video', pictures_of(targets, 8)),
        (f'Learned in this demo: {learned}', pictures_of(after, 8)),
    ]
    write_page(args.dir, [(text, titled(text, pictures)) for text, pictures in rows])
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    print(f'== demo: done in {minutes} min {seconds} s')
    print(f'   {learned}')
    print(f'   {args.dir / "sheet.png"}, {args.dir / "index.html"}')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
