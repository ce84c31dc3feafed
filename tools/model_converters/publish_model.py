#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A checkpoint's weights as a small .safetensors file whose header says how they came about."""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import json

from smallobj_mm.checkpoints.backbone import describe_training
from smallobj_mm.checkpoints.publishing import publishable
from smallobj_mm.checkpoints.reading import load_plain, read_header
from smallobj_mm.utils.errors import MissingPackageError, UserError, errors_in_one_line
from smallobj_mm.utils.io import atomic_write_bytes


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='of a work-dir')
    parser.add_argument('out', help='the file to write, .safetensors')
    parser.add_argument('--half', action='store_true', help='kernels in half precision')
    parser.add_argument(
        '--note', nargs='+', default=[], metavar='KEY=VALUE',
        help='further lines of the header: license, commit, command, metrics, ...',
    )  # fmt: skip
    args = parser.parse_args(argv)
    bad = [note for note in args.note if not note.partition('=')[0] or '=' not in note]
    if bad:
        parser.error(f'--note: {bad[0]!r}, expected KEY=VALUE')
    return args


def main(argv: list[str] | None = None) -> None:
    """Publish."""
    args = parse_args(argv)
    if not args.out.endswith('.safetensors'):
        raise UserError(f'{args.out}: expected a name that ends in .safetensors')
    try:
        from safetensors.torch import save
    except ImportError:
        raise MissingPackageError(
            f'{args.out}: writing it needs the package safetensors, install it with pip install '
            'safetensors'
        ) from None
    checkpoint = load_plain(args.checkpoint)
    tensors = publishable(checkpoint, args.checkpoint, args.half)
    header = describe_training(checkpoint, read_header(args.checkpoint))
    header['names'] = 'mmengine'
    header |= dict(note.split('=', 1) for note in args.note)
    data = save(tensors, metadata=header)
    atomic_write_bytes(args.out, data)
    print(json.dumps(header, indent=2))
    print(f'{args.out}: {len(tensors)} tensors, {len(data) / 1e6:.2f} MB written')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
