#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images a second of the loading of two views: ours against mmpretrain's MultiView.

Both decode the same files and apply the same augmentations with the same probabilities. They take
turns, so that both meet the same neighbors. MultiView is timed with OpenCV and with Pillow as the
backend of its transforms; its blur is Pillow's in both.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import statistics
from functools import partial
from itertools import cycle, islice

import cv2
import mmpretrain.datasets  # noqa: F401  (registers its transforms)
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope

from smallobj_mm.benchmark.timing import in_turns, timed
from smallobj_mm.datasets.files import list_images
from smallobj_mm.utils.errors import UserError, errors_in_one_line


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', help='images')
    parser.add_argument('--size', type=int, default=224, help='side of a view, px')
    parser.add_argument('--images', type=int, default=100, help='images a turn')
    parser.add_argument('--rounds', type=int, default=5, help='turns, after one to warm up')
    return parser.parse_args(argv)


def our_pipeline(size: int) -> list[dict]:
    """Two views as our configs load them."""
    view = [
        dict(type='RecordedCrop', size=size, scale=(0.2, 1.0)),
        dict(type='RecordedFlip', prob=0.5),
        dict(
            type='RecordedColorJitter',
            brightness=0.4,
            contrast=0.4,
            saturation=0.4,
            hue=0.1,
            prob=0.8,
        ),
        dict(type='RecordedGrayscale', prob=0.2),
        dict(type='RecordedBlur', sigma=(0.1, 2.0), prob=0.5),
    ]
    return [
        dict(type='LoadImageStrict'),
        dict(type='AugmentedViews', views=[view, view]),
        dict(type='PackViews', targets=['crop', 'color']),
    ]


def stock_pipeline(size: int, backend: str) -> list[dict]:
    """The same of mmpretrain's own transforms."""
    jitter = dict(
        type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, backend=backend
    )
    view = [
        dict(type='RandomResizedCrop', scale=size, crop_ratio_range=(0.2, 1.0), backend=backend),
        dict(type='RandomFlip', prob=0.5),
        dict(type='RandomApply', transforms=[jitter], prob=0.8),
        dict(
            type='RandomGrayscale',
            prob=0.2,
            keep_channels=True,
            channel_weights=(0.114, 0.587, 0.2989),
        ),
        dict(type='GaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf', prob=0.5),
    ]
    return [
        dict(type='LoadImageFromFile'),
        dict(type='MultiView', num_views=2, transforms=[view]),
        dict(type='PackInputs'),
    ]


def load(pipeline: Compose, paths: list[str]) -> None:
    """Load the images."""
    for path in paths:
        pipeline(dict(img_path=path))


def compare(folder: str, size: int, images: int, rounds: int) -> dict[str, list[float]]:
    """Images a second of each pipeline in each round.

    Raises:
        UserError: If there are no images, or a number is below 1.
    """
    paths = list_images(folder)
    if not paths or min(size, images, rounds) < 1:
        raise UserError(
            f'{folder}: {len(paths)} images found, --size {size}, --images {images}, --rounds '
            f'{rounds}; expected 1 or more of each'
        )
    paths = list(islice(cycle(paths), images))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        pipelines = {
            'AugmentedViews': Compose(our_pipeline(size)),
            'MultiView, OpenCV': Compose(stock_pipeline(size, 'cv2')),
            'MultiView, Pillow': Compose(stock_pipeline(size, 'pillow')),
        }
    calls = {name: timed(partial(load, pipeline, paths)) for name, pipeline in pipelines.items()}
    return {n: [images / took for took in times] for n, times in in_turns(calls, rounds).items()}


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    args = parse_args(argv)
    cv2.setNumThreads(0)  # as in a worker of a data loader
    rates = compare(args.folder, args.size, args.images, args.rounds)
    ours = next(iter(rates.values()))
    for name, values in rates.items():
        print(f'{name:20s} {statistics.median(values):8.1f} images/s')
    for name, values in list(rates.items())[1:]:
        ratio = statistics.median(a / b for a, b in zip(ours, values))
        print(f'AugmentedViews / {name}: {ratio:.2f}')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
