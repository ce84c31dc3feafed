#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The backbone of a checkpoint alone, under torchvision's names.

OUT.safetensors has a header that says how it was trained; OUT.pth is read by programs without
safetensors (and by init_cfg=dict(type='Pretrained') of any OpenMMLab config).
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import io
import json

import torch

from smallobj_mm.checkpoints.backbone import describe_training, extract_backbone
from smallobj_mm.checkpoints.reading import load_plain, read_header
from smallobj_mm.utils.errors import MissingPackageError, UserError, errors_in_one_line
from smallobj_mm.utils.io import atomic_write_bytes


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='of a work-dir, or of another program')
    parser.add_argument('out', help='the file to write, .safetensors or .pth')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Export."""
    args = parse_args(argv)
    if not args.out.endswith(('.safetensors', '.pth')):
        raise UserError(f'{args.out}: expected a name that ends in .safetensors or .pth')
    checkpoint = load_plain(args.checkpoint)
    backbone = extract_backbone(checkpoint, args.checkpoint)
    header = describe_training(checkpoint, read_header(args.checkpoint))
    if args.out.endswith('.pth'):
        buffer = io.BytesIO()
        torch.save({'meta': header, 'state_dict': backbone}, buffer)
        data = buffer.getvalue()
    else:
        try:
            from safetensors.torch import save
        except ImportError:
            raise MissingPackageError(
                f'{args.out}: writing it needs the package safetensors, install it with pip '
                'install safetensors or give a name that ends in .pth'
            ) from None
        data = save(backbone, metadata=header)
    atomic_write_bytes(args.out, data)
    print(json.dumps(header, indent=2))
    print(f'{args.out}: {len(backbone)} tensors written')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
