# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The synthetic infrared set on disk, made as a whole in the layout of BasicIRSTD."""

import os
import os.path as osp
from typing import Sequence

import numpy as np

from smallobj_mm.utils.errors import UserError

from .irstd_scene import render_ir_scene
from .stamped_folder import make_stamped_folder
from .synthetic_files import write_image, write_lists

#: File that tells what a folder was made from.
IRSTD_STAMP = 'synthetic_irstd.json'

_LIST_NAME = 'SyntheticIRSTD'

# Raised whenever the same parameters give other images, so that old folders are made anew.
_GENERATOR_VERSION = 1


def make_synthetic_irstd(
    out_dir: str,
    num_images: int = 300,
    image_size: int = 256,
    seed: int = 0,
    test_fraction: float = 0.2,
    target_size: Sequence[float] = (2.0, 10.0),
    max_targets: int = 4,
) -> bool:
    """Make the synthetic infrared set, unless it is there already with these parameters.

    Layout: ``images/NAME.png`` (gray), ``masks/NAME.png`` (0 and 255) and
    ``img_idx/{train,test}_SyntheticIRSTD.txt``; the last images are those of the test. Image
    number i depends on the seed, its size and the targets alone. Several processes may start at
    once, see :func:`make_stamped_folder`.

    Args:
        out_dir (str): Folder of the data set.
        num_images (int): Number of images, both splits together.
        image_size (int): Side of the square images in px.
        seed (int): Seed of everything random.
        test_fraction (float): Share of the images for the test, at least one image.
        target_size (Sequence[float]): Least and largest target in px.
        max_targets (int): Most targets an image has.

    Returns:
        bool: Whether it was made; False if it was there.

    Raises:
        UserError: If a parameter is out of its range.
        UserError: If ``out_dir`` holds files that this function did not make.

    Example:
        >>> make_synthetic_irstd('data/synthetic_irstd', num_images=100)  # doctest: +SKIP
        True
    """
    if num_images < 2 or not 0 < test_fraction < 1:
        raise UserError(
            f'num_images is {num_images} and test_fraction {test_fraction}, expected at least 2 '
            'images and a fraction between 0 and 1'
        )
    low, high = (float(value) for value in target_size)
    if not 1 <= low <= high <= image_size / 8:
        raise UserError(
            f'target_size is ({low:g}, {high:g}), expected 1 <= least <= largest <= an eighth of '
            f'image_size={image_size}'
        )
    if max_targets < 1 or seed < 0:
        raise UserError(f'max_targets is {max_targets} and seed {seed}, expected >= 1 and >= 0')
    parameters = dict(
        generator=_GENERATOR_VERSION,
        num_images=int(num_images),
        image_size=int(image_size),
        seed=int(seed),
        test_fraction=float(test_fraction),
        target_size=[low, high],
        max_targets=int(max_targets),
    )
    return make_stamped_folder(out_dir, IRSTD_STAMP, parameters, _write_all)


def _write_all(folder: str, parameters: dict) -> None:
    for sub in ('images', 'masks', 'img_idx'):
        os.makedirs(osp.join(folder, sub))
    count = parameters['num_images']
    names = [f'{index:06d}' for index in range(count)]
    for index, name in enumerate(names):
        scene = render_ir_scene(
            np.random.default_rng([parameters['seed'], index]),
            parameters['image_size'],
            tuple(parameters['target_size']),
            parameters['max_targets'],
        )
        for sub, picture in (('images', scene.image), ('masks', scene.mask)):
            write_image(osp.join(folder, sub, f'{name}.png'), picture)
    lists = [
        osp.join(folder, 'img_idx', f'{split}_{_LIST_NAME}.txt') for split in ('train', 'test')
    ]
    write_lists(lists, names, parameters['test_fraction'])
