#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Fix the thresholds that a segmentor is recommended with, and write them into its weights.

    python tools/analysis_tools/fix_operating_points.py configs/ismallnet/ismallnet_s_ir.py \
        smallobj_mm/weights/ismallnet_s_ir.safetensors

They are fixed on the images of the config's val_dataloader: let these be held-out images of the
training set, as in configs/_base_/datasets/splits, not the images that figures are reported on.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import json

from mmengine.registry import DATASETS, init_default_scope

from smallobj_mm.checkpoints.reading import load_plain, read_header
from smallobj_mm.datasets.masks import read_mask
from smallobj_mm.evaluation.irstd_counts import count_image
from smallobj_mm.evaluation.irstd_summary import evaluate_images
from smallobj_mm.evaluation.irstd_table import format_table
from smallobj_mm.evaluation.operating_points import CANDIDATES, choose_operating_points
from smallobj_mm.inference import SmallObjectInferencer
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import MissingPackageError, UserError, errors_in_one_line
from smallobj_mm.utils.io import atomic_write_bytes


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path or name of a config of a segmentor')
    parser.add_argument('weights', help='.safetensors file; its header gets the thresholds')
    parser.add_argument(
        '--split', choices=('val', 'test'), default='val', help='whose dataloader names the images'
    )
    parser.add_argument(
        '--max-fa', type=float, default=5e-6, help='false alarm rate that is few (default: 5e-6)'
    )
    parser.add_argument('--dry-run', action='store_true', help='print them, write nothing')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Predict, choose, write."""
    args = parse_args(argv)
    if not args.weights.endswith('.safetensors'):
        raise UserError(
            f'{args.weights}: expected a .safetensors file, whose header takes the thresholds; '
            'make one with tools/model_converters/publish_model.py'
        )
    cfg = read_config(args.config)
    loader = cfg.get(f'{args.split}_dataloader')
    if loader is None:
        raise UserError(f'{args.config}: has no {args.split}_dataloader, expected held-out images')
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    dataset = DATASETS.build(loader.dataset)
    inferencer = SmallObjectInferencer(cfg, args.weights)
    counts = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        (sample,) = inferencer(info['img_path'], tile=None)
        truth = read_mask(info['seg_map_path'])
        probability = sample.seg_logits.data[0].numpy()
        counts.append(count_image(probability, truth, CANDIDATES))
    metrics = evaluate_images(counts, CANDIDATES, with_curves=False)
    print(format_table(metrics))
    points = choose_operating_points(
        {name: values for name, values in metrics.items() if name != 'settings'}, args.max_fa
    )
    held_out = {
        name: {
            'threshold': threshold,
            **{key: round(metrics[f'{threshold:.10g}'][key], 8) for key in ('F1', 'Pd', 'Fa')},
        }
        for name, threshold in points.by_name().items()
    }
    print(json.dumps(held_out, indent=2))
    if not args.dry_run:
        write_header(
            args.weights,
            operating_points=json.dumps(points.by_name()),
            operating_points_fixed_on=f'{len(counts)} images of {args.split}_dataloader',
            operating_points_there=json.dumps(held_out),
        )
        print(f'written into the header of {args.weights}')


def write_header(path: str, **entries: str) -> None:
    """Change entries of the header of a .safetensors file, which appears whole or not at all."""
    try:
        from safetensors.torch import save
    except ImportError:
        raise MissingPackageError(
            f'{path}: writing it needs the package safetensors, install it with pip install '
            'safetensors'
        ) from None
    atomic_write_bytes(path, save(load_plain(path), metadata={**read_header(path), **entries}))


if __name__ == '__main__':
    with errors_in_one_line():
        main()
