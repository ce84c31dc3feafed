#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the authors' programs as checkpoints of this package."""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import io

import torch

from smallobj_mm.checkpoints.converters.detsim import convert_detsim
from smallobj_mm.checkpoints.converters.ismallnet import convert_ismallnet
from smallobj_mm.checkpoints.converters.obsdm import convert_obsdm
from smallobj_mm.checkpoints.reading import load_plain
from smallobj_mm.utils.errors import UserError, errors_in_one_line
from smallobj_mm.utils.io import atomic_write_bytes

#: Model -> function from the authors' checkpoint to (state dict, metadata, lines to print).
CONVERTERS = {'detsim': convert_detsim, 'ismallnet': convert_ismallnet, 'obsdm': convert_obsdm}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('model', choices=sorted(CONVERTERS), help='which of the systems')
    parser.add_argument('src', help="the authors' checkpoint: a state dict, plain or nested")
    parser.add_argument('dst', help='the checkpoint to write, .pth')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Convert."""
    args = parse_args(argv)
    if not args.dst.endswith('.pth'):
        raise UserError(
            f'{args.dst}: expected a name that ends in .pth; publish_model.py makes a '
            '.safetensors file of it'
        )
    state_dict, meta, lines = CONVERTERS[args.model](load_plain(args.src), args.src)
    buffer = io.BytesIO()
    torch.save({'meta': meta, 'state_dict': state_dict}, buffer)
    atomic_write_bytes(args.dst, buffer.getvalue())
    for line in lines:
        print(line)
    print(f'{args.dst}: {len(state_dict)} tensors written')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
