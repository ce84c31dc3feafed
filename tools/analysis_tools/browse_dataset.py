# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw what the network is given: images and truth after the whole data pipeline.

For detection the boxes, for segmentation the mask's contour, the interior and the boundary map,
side by side. With ``--sheet`` many of them on each picture, drawn from all over the data set.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import smallobj_mm  # isort: skip  (compat before anything imports torchvision or mmcv)
import cv2
import numpy as np
from mmengine.config import DictAction
from mmengine.registry import init_default_scope
from mmengine.utils import ProgressBar

from smallobj_mm.registry import DATASETS, FUNCTIONS
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import errors_in_one_line
from smallobj_mm.utils.io import atomic_write_bytes
from smallobj_mm.visualization import contact_sheet, draw_label_maps, draw_sample

WINDOW = f'browse_dataset {smallobj_mm.__version__}'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train')
    parser.add_argument('--output-dir', help='folder for the pictures; they are not kept without')
    parser.add_argument('--ext', choices=['png', 'jpg'], default='png', help='kind of picture')
    parser.add_argument('--num', type=int, help='number of samples; all if not given')
    parser.add_argument('--zoom', type=int, default=1, help='enlarge the pictures this many times')
    parser.add_argument('--seed', type=int, default=0, help='seed of the augmentation')
    parser.add_argument(
        '--sheet',
        type=int,
        nargs=2,
        metavar=('ROWS', 'COLUMNS'),
        help='so many samples on each picture, drawn at random',
    )
    parser.add_argument('--not-show', action='store_true', help='open no window')
    parser.add_argument('--show-interval', type=float, default=2, help='seconds for each picture')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides key=value')
    args = parser.parse_args(argv)
    if args.zoom < 1:
        parser.error(f'--zoom is {args.zoom}, expected 1 or more')
    if args.num is not None and args.num < 1:
        parser.error(f'--num is {args.num}, expected 1 or more')
    if args.sheet is not None and min(args.sheet) < 1:
        parser.error(f'--sheet is {args.sheet}, expected 1 or more rows and columns')
    has_display = sys.platform != 'linux' or os.environ.get('DISPLAY')
    args.show = not args.not_show and bool(has_display)
    if not args.show and args.output_dir is None:
        parser.error('no window is opened: --output-dir FOLDER is needed')
    return args


def packed(item: dict, collate: dict | None) -> dict:
    """The sample as it is in a batch; where the loader resizes whole batches, one of its own.

    Args:
        item: What the data set gives.
        collate: Config of the loader's collate function, None if it has none.

    Returns:
        dict: ``inputs`` and ``data_samples``.
    """
    if collate is None or 'inputs' in item:
        return item
    collate = dict(collate)
    kind = collate.pop('type')
    batch = (FUNCTIONS.get(kind) if isinstance(kind, str) else kind)([item], **collate)
    return {name: value[0] for name, value in batch.items()}


def picture(item: dict, classes: Sequence[str], zoom: int) -> np.ndarray:
    """The picture of one packed sample, (h, w, 3) uint8 BGR."""
    sample = item['data_samples']
    img = np.ascontiguousarray(item['inputs'].permute(1, 2, 0).numpy())
    if 'gt_sem_seg' in sample:
        interior, boundary = (
            sample.get(name).data[0].numpy() if name in sample else None
            for name in ('gt_interior_map', 'gt_boundary_map')
        )
        return draw_label_maps(img, sample.gt_sem_seg.data[0].numpy(), interior, boundary, zoom)
    boxes = [
        np.asarray(getattr(part.bboxes, 'tensor', part.bboxes)).reshape(-1, 4)
        if 'bboxes' in part
        else np.zeros((0, 4))
        for part in (sample.gt_instances, sample.get('ignored_instances', {}))
    ]
    labels = np.asarray(sample.gt_instances.get('labels', np.zeros(0))).astype(int)
    return draw_sample(img, boxes[0], labels, boxes[1], classes, zoom)


def main(argv: list[str] | None = None) -> None:
    """Draw the samples of a config's data set."""
    args = parse_args(argv)
    cfg = read_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    loader = cfg.get(f'{args.split}_dataloader')
    if loader is None:
        sys.exit(f'{args.config}: has no {args.split}_dataloader: try another --split')
    dataset = DATASETS.build(loader.dataset)
    np.random.seed(args.seed)
    number = min(args.num or len(dataset), len(dataset))
    progress = ProgressBar(number, file=sys.stdout)
    indices = np.random.permutation(len(dataset))[:number] if args.sheet else range(number)
    rows, columns = args.sheet or (1, 1)
    waiting: list[np.ndarray] = []
    for count, index in enumerate(indices, start=1):
        item = packed(dataset[int(index)], loader.get('collate_fn'))
        waiting.append(picture(item, dataset.metainfo['classes'], args.zoom))
        progress.update()
        if len(waiting) < rows * columns and count < number:
            continue
        drawn, waiting = contact_sheet(waiting, columns), []
        if args.output_dir:
            stem = Path(item['data_samples'].get('img_path', 'sample')).stem
            sheet = f'sheet_{(count - 1) // (rows * columns):04d}'
            name = sheet if args.sheet else f'{index:06d}_{stem}'
            encoded = cv2.imencode(f'.{args.ext}', drawn)[1].tobytes()
            atomic_write_bytes(Path(args.output_dir) / f'{name}.{args.ext}', encoded)
        if args.show:
            cv2.imshow(WINDOW, drawn)
            if cv2.waitKey(max(int(1000 * args.show_interval), 1)) in (27, ord('q')):
                break
    print()
    if args.output_dir:
        print(f'pictures of the {args.split} split are in {args.output_dir}')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
