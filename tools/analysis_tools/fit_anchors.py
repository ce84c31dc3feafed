# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Print the best possible recall of a config's anchors on its training boxes, and fit new ones."""

import argparse
import sys
from collections.abc import Iterator, Sequence

import smallobj_mm  # noqa: F401  isort: skip  (compat before anything imports torchvision or mmcv)
import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from smallobj_mm.datasets.base import SmallObjectDetDataset
from smallobj_mm.models.task_modules.anchor_fitting import (
    fit_anchors,
    fit_of_anchors,
    resized_sizes,
    split_over_levels,
)
from smallobj_mm.registry import DATASETS
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import errors_in_one_line

#: Transforms that say at which size the network trains, and how the argument is called.
SIZING = (
    ('SmallObjectMosaic', 'img_scale'),
    ('MosaicAffine', 'img_scale'),
    ('Mosaic', 'img_scale'),
    ('Resize', 'scale'),
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--fit', action='store_true', help='fit new anchors')
    parser.add_argument('--num-anchors', type=int, help='anchors in all; as many as the config has')
    parser.add_argument(
        '--img-size',
        type=int,
        nargs='+',
        metavar='PX',
        help='width and height (or one number for both) that images are resized to fit; by '
        "default the config's",
    )
    parser.add_argument('--limit', type=float, default=4.0, help='largest ratio of sides')
    parser.add_argument('--generations', type=int, default=300, help='length of the evolution')
    parser.add_argument('--seed', type=int, default=0, help='seed of the evolution')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides key=value')
    args = parser.parse_args(argv)
    if args.img_size and (len(args.img_size) > 2 or min(args.img_size) < 1):
        parser.error(f'--img-size is {args.img_size}, expected one or two numbers above 0')
    if args.limit <= 1:
        parser.error(f'--limit is {args.limit}, expected a ratio above 1')
    return args


def walk_datasets(dataset: dict) -> Iterator[dict]:
    """Yield every data set config, wrappers before what they wrap."""
    yield dataset
    inner = [dataset['dataset']] if 'dataset' in dataset else dataset.get('datasets', [])
    for child in inner:
        yield from walk_datasets(child)


def find_size(dataset: dict) -> Sequence[int] | None:
    """Width and height in pixels that the pipelines of a data set resize to, or None."""
    steps = [step for part in walk_datasets(dataset) for step in part.get('pipeline', [])]
    for name, key in SIZING:
        for step in steps:
            if step['type'] == name and key in step:
                scale = step[key]
                return tuple(scale) if isinstance(scale, (list, tuple)) else (scale, scale)
    return None


def network_size(cfg: Config, config: str) -> Sequence[int]:
    """Width and height in pixels that whole images are resized to fit, or exit with advice.

    That is the training size, or, where training sees crops, the size of the validation.
    """
    training = cfg.train_dataloader.dataset
    crops = any(
        step['type'] == 'RandomCrop'
        for part in walk_datasets(training)
        for step in part.get('pipeline', [])
    )
    size = None if crops else find_size(training)
    if size is None and cfg.get('val_dataloader'):
        size = find_size(cfg.val_dataloader.dataset)
    if size is None:
        names = ', '.join(f'{name}.{key}' for name, key in SIZING)
        sys.exit(f'{config}: no image size found in the pipelines ({names}): give --img-size PX')
    return size


def box_sizes(config: str, dataset_config: dict, target: Sequence[int]) -> np.ndarray:
    """Sizes (n, 2) of all objects of a raw data set, in pixels of the resized image."""
    dataset_config = dict(dataset_config, pipeline=[])
    if issubclass(DATASETS.get(dataset_config['type']), SmallObjectDetDataset):
        dataset_config['check_images'] = False  # labels are all that is needed
    dataset = DATASETS.build(dataset_config)
    sizes = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        boxes = [item['bbox'] for item in info['instances'] if not item.get('ignore_flag', 0)]
        if not boxes:
            continue
        if 'width' not in info or 'height' not in info:
            sys.exit(
                f'{config}: {dataset_config["type"]} gives no width and height of '
                f'{info.get("img_path")}, expected both: they say how boxes are resized'
            )
        corners = np.array(boxes, dtype=np.float64)
        wh = corners[:, 2:] - corners[:, :2]
        sizes.append(resized_sizes(wh, (info['width'], info['height']), target))
    every = np.concatenate(sizes) if sizes else np.zeros((0, 2))
    return every[(every > 0).all(axis=1)]


def report(name: str, boxes: np.ndarray, anchors: np.ndarray, limit: float) -> None:
    """Print how well anchors fit."""
    fit = fit_of_anchors(boxes, anchors, limit)
    print(
        f'{name}: best possible recall {fit.recall:.4f}, {fit.anchors_per_box:.2f} anchors per '
        f'box, mean similarity {fit.similarity:.3f}'
    )


def main(argv: list[str] | None = None) -> None:
    """Measure the anchors of a config and fit new ones if asked to."""
    args = parse_args(argv)
    cfg = read_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    try:
        levels = cfg.model.bbox_head.prior_generator.base_sizes
        dataset = cfg.train_dataloader.dataset
    except AttributeError as error:
        sys.exit(
            f'{args.config}: {error}, expected model.bbox_head.prior_generator.base_sizes and '
            'train_dataloader.dataset: give a config of an anchor-based detector'
        )
    size = args.img_size and (args.img_size[0], args.img_size[-1])
    target = size or network_size(cfg, args.config)
    leaves = [part for part in walk_datasets(dataset) if not {'dataset', 'datasets'} & set(part)]
    boxes = np.concatenate([box_sizes(args.config, leaf, target) for leaf in leaves])
    if not len(boxes):
        sys.exit(f'{args.config}: the training data has no boxes, expected some: check its files')
    print(
        f'{len(boxes)} boxes of images resized to fit {target[0]}x{target[1]} px; a box fits an '
        f"anchor if no side is {args.limit:g} times as long as the other one's"
    )
    anchors = np.array([pair for level in levels for pair in level], dtype=np.float64)
    report(f'{len(anchors)} anchors of the config', boxes, anchors, args.limit)
    if not args.fit:
        return
    count = args.num_anchors or len(anchors)
    try:
        fitted = fit_anchors(boxes, count, args.limit, args.generations, seed=args.seed)
        new_levels = split_over_levels(fitted, len(levels))
    except ValueError as error:
        sys.exit(f'{args.config}: {error}')
    report(f'{count} fitted anchors', boxes, fitted, args.limit)
    print('base_sizes=[')
    for level in new_levels:
        print('    [' + ', '.join(f'({width:g}, {height:g})' for width, height in level) + '],')
    print(']')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
