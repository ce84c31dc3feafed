# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Plot ROC, Pd-Fa and precision-recall curves of one or several models in one figure."""

import argparse
import json
from pathlib import Path

import smallobj_mm  # noqa: F401  isort: skip  (compat before anything imports torchvision or mmcv)
from smallobj_mm.utils.errors import DEBUG_VARIABLE, UserError, errors_in_one_line
from smallobj_mm.utils.io import atomic_write_bytes
from smallobj_mm.visualization.irstd_curves import KINDS, draw_curves
from smallobj_mm.visualization.irstd_figure import figure_png


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f'{DEBUG_VARIABLE}=1 shows the traceback of every error.'
    )
    parser.add_argument(
        'results',
        nargs='+',
        help='files written by evaluate_maps.py --json or by IRSTDMetric(json_file=...)',
    )
    parser.add_argument('--labels', nargs='+', help='names of the models; default: of the files')
    parser.add_argument('--out', required=True, help='file of the figure (.png)')
    parser.add_argument('--curves', nargs='+', choices=KINDS, default=list(KINDS))
    return parser.parse_args(argv)


def read_curves(path: str) -> dict:
    """The curves in a file.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It is no such file, or it has no curves.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such file')
    try:
        result = json.loads(Path(path).read_text(encoding='utf-8'))
    except ValueError as error:
        raise UserError(f'{path}: not readable as JSON ({error})') from None
    curves = result.get('curves') if isinstance(result, dict) else None
    if not isinstance(curves, dict) or not {'ROC', 'PR', 'Pd_Fa', 'AUC', 'AP'} <= set(curves):
        raise UserError(
            f'{path}: has no curves, expected a file written by evaluate_maps.py --json or by '
            'IRSTDMetric(json_file=..., curves=True)'
        )
    return curves


def main(argv: list[str] | None = None) -> None:
    """Draw the curves of some files."""
    args = parse_args(argv)
    labels = args.labels or [Path(path).stem for path in args.results]
    if len(labels) != len(args.results):
        raise UserError(
            f'--labels: {len(labels)} for {len(args.results)} files, expected one for each'
        )
    if not args.out.lower().endswith('.png'):
        raise UserError(f'--out {args.out}: expected a name that ends in .png')
    models = [(label, read_curves(path)) for label, path in zip(labels, args.results)]
    atomic_write_bytes(args.out, figure_png(draw_curves(models, args.curves)))
    print(f'curves of {", ".join(labels)} are in {args.out}')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
