# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Evaluate probability maps of infrared small targets, of this or any other program."""

import argparse
import sys

import smallobj_mm  # noqa: F401  isort: skip  (compat before anything imports torchvision or mmcv)
from smallobj_mm.evaluation.irstd_counts import MATCHINGS
from smallobj_mm.evaluation.irstd_maps import count_maps, look_like_labels, pair_maps
from smallobj_mm.evaluation.irstd_summary import (
    EMPTIES,
    check_options,
    evaluate_images,
    without_nan,
)
from smallobj_mm.evaluation.irstd_table import format_table, write_per_image
from smallobj_mm.utils.errors import DEBUG_VARIABLE, errors_in_one_line
from smallobj_mm.utils.io import atomic_write_json


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f'{DEBUG_VARIABLE}=1 shows the traceback of every error.'
    )
    parser.add_argument(
        'pred_dir', help='folder of probability maps: PNG of 8 or 16 bits, or .npy with floats'
    )
    parser.add_argument(
        'gt_dir', help='folder of masks of any coding; names as the maps, or with _pixels0'
    )
    parser.add_argument(
        '--threshold', type=float, nargs='+', default=[0.5], help='predicted is what is above'
    )
    parser.add_argument(
        '--matching',
        choices=MATCHINGS,
        default='first',
        help="which component serves a target: the field's greedy scan, or the best assignment",
    )
    parser.add_argument(
        '--empty',
        choices=EMPTIES,
        default='one',
        help='what an image without target and prediction adds to nIoU',
    )
    parser.add_argument(
        '--authors', action='store_true', help="also the figures of the iSmallNet authors' script"
    )
    parser.add_argument('--list', help='file with the names to evaluate, one a line; default: all')
    parser.add_argument('--json', help='file for the metrics and the curves')
    parser.add_argument('--per-image', help='file (CSV) for the counts of each image')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Evaluate two folders."""
    args = parse_args(argv)
    check_options('--threshold', args.threshold, args.matching, args.empty)
    pairs, problems = pair_maps(args.pred_dir, args.gt_dir, args.list)
    images, more = count_maps(pairs, args.threshold, args.matching)
    for problem in [*problems, *more]:
        print(f'error: {problem}', file=sys.stderr)
    if problems or more:
        sys.exit(2)
    if look_like_labels(images):
        print(
            f'warning: {args.pred_dir}: no map has a value above 1 of 255; expected probabilities '
            'times 255 (or 65535), write 0/1 maps as 0/255',
            file=sys.stderr,
        )
    result = evaluate_images(
        images, args.threshold, args.matching, args.empty, authors=args.authors
    )
    print(format_table(result))
    if args.per_image:
        write_per_image(args.per_image, [pair.name for pair in pairs], images, args.threshold)
        print(f'counts of each image are in {args.per_image}')
    if args.json:
        atomic_write_json(args.json, without_nan(result), indent=1)
        print(f'metrics and curves are in {args.json}')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
