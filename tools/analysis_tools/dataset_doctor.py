#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Say what a data set asks of a detector of small objects: one page with plots and config lines.

Sizes against strides, what resizing to 640 px loses, crowding, classes, faulty boxes, validation
images that are nearly training images. DATA is a folder or file in any supported format. With
--checkpoint, "should I tile?" is answered by measured AP and time: whole images, enlarged by 1.5
and 2, and tiles. Exit status: 0, or 2 for errors; an alarm is no error.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

from smallobj_mm.benchmark.enlarging import Measured, measure_enlarging
from smallobj_mm.datasets.analysis import (
    advise,
    find_near_duplicates,
    open_datasets,
    tabulate,
)
from smallobj_mm.datasets.analysis.report import as_text, describe
from smallobj_mm.utils.errors import DEBUG_VARIABLE, UserError, errors_in_one_line
from smallobj_mm.utils.io import atomic_write_text
from smallobj_mm.visualization.dataset_figure import draw_dataset

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body {{font: 15px sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em}}
img {{max-width: 100%}} pre {{background: #f4f4f4; padding: .8em; overflow-x: auto}}
.alarm {{background: #fde0dd}}</style>
<h1>{title}</h1>
<img src="data:image/png;base64,{picture}" alt="sizes, crowding and classes">
{sections}
</html>
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f'{DEBUG_VARIABLE}=1 shows the traceback of every error.',
    )
    parser.add_argument('data', metavar='DATA', help='folder, COCO JSON or data.yaml')
    parser.add_argument(
        '--lists', nargs='+', metavar='NAME',
        help='lists or splits, training first, where they are not train, val and test '
        '(HIT-UAV: flight_train flight_val)',
    )  # fmt: skip
    parser.add_argument(
        '--out', default='dataset_report.html', metavar='FILE', help='the page (%(default)s)'
    )
    parser.add_argument(
        '--labels-only', action='store_true', help='do not look at the images, which may be missing'
    )
    group = parser.add_argument_group('should I tile?')
    group.add_argument('--checkpoint', help='of a detector of these classes')
    group.add_argument('--config', help='its config, path or name')
    group.add_argument('--images', type=int, default=100, help='to measure on (%(default)s)')
    group.add_argument(
        '--tile', type=int, help='side in px (default: half of the longest side, at most 640)'
    )
    group.add_argument('--overlap', type=float, default=0.2, help='of tiles (%(default)s)')
    group.add_argument('--device', default='cpu', help='cpu, cuda, ... (%(default)s)')
    args = parser.parse_args(argv)
    if args.checkpoint and not args.config:
        parser.error('--checkpoint: needs --config, the config that it was trained with')
    if args.images < 1:
        parser.error(f'--images is {args.images}, expected 1 or more')
    return args


def measured_lines(results: Sequence[Measured]) -> list[str]:
    """The answer to "should I tile?" as a table."""
    lines = [f'{"":32}{"AP":>8}{"AP50":>8}{"AP_tiny":>9}{"ms":>9}']
    lines += [
        f'{r.name:32}{r.ap:>8.3f}{r.ap50:>8.3f}{r.ap_tiny:>9.3f}{1000 * r.seconds:>9.0f}'
        for r in results
    ]
    whole, best = results[0], max(results, key=lambda r: r.ap)
    if best is whole or best.ap - whole.ap < 0.005:
        lines.append('Neither larger images nor tiles gain 0.005 AP: keep whole images.')
    else:
        lines.append(
            f'{best.name}: {best.ap - whole.ap:+.3f} AP for {best.seconds / whole.seconds:.1f} '
            'times the time.'
        )
    return lines


def write_page(path: Path, title: str, sections: Sequence, picture: bytes) -> None:
    """Write the page, whole or not at all."""
    parts = []
    for name, lines in sections:
        alarm = ' class="alarm"' if any(line.startswith('ALARM') for line in lines) else ''
        text = html.escape('\n'.join(lines))
        parts.append(f'<h2>{html.escape(name)}</h2>\n<pre{alarm}>{text}</pre>')
    atomic_write_text(
        path,
        _PAGE.format(
            title=html.escape(title),
            picture=base64.b64encode(picture).decode(),
            sections='\n'.join(parts),
        ),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Examine a data set.

    Raises:
        UserError: It cannot be read, has no image, or the detector is none of its classes.
    """
    args = parse_args(argv)
    datasets = open_datasets(args.data, args.lists, check_images=not args.labels_only)
    tables = {name: tabulate(dataset) for name, dataset in datasets.items()}
    names = list(tables)
    train = tables[names[0]]
    advice = advise(train)
    duplicates = None
    if len(names) > 1 and not args.labels_only:
        duplicates = find_near_duplicates(train.paths, tables[names[1]].paths)
    sections = describe(tables, advice, duplicates)
    if args.checkpoint:
        dataset = datasets[names[min(1, len(names) - 1)]]
        if 'instances' not in dataset.get_data_info(0):
            raise UserError('--checkpoint: the data have masks, expected boxes and a detector')
        tile = args.tile or min(640, int(train.sizes.max()) // 2)
        results = measure_enlarging(
            args.config, args.checkpoint, dataset, args.images, tile=tile, overlap=args.overlap,
            device=args.device,
        )  # fmt: skip
        count = min(args.images, len(dataset))
        title = f'Should I tile? Measured on {count} images of {names[min(1, len(names) - 1)]}'
        sections.insert(len(sections) - 1, (title, measured_lines(results)))
    picture = io.BytesIO()
    draw_dataset(tables, advice.strides).savefig(picture, dpi=110)
    write_page(Path(args.out), f'Data set {args.data}', sections, picture.getvalue())
    print(as_text(sections))
    print(f'\nThe page with plots is {args.out}')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
