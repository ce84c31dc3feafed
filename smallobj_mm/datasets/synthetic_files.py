# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The synthetic small-object set on disk: Pascal VOC layout plus masks, made as a whole."""

import os
import os.path as osp
from typing import Optional, Sequence
from xml.sax.saxutils import escape

import cv2
import numpy as np

from smallobj_mm.utils.errors import UserError

from .stamped_folder import make_stamped_folder
from .synthetic_scene import OBJECT_SIZES, STYLES, Scene, render_scene

#: File that tells what a folder was made from.
STAMP = 'synthetic.json'

_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')

# Raised whenever the same parameters give other images, so that old folders are made anew.
_GENERATOR_VERSION = 1


def make_synthetic_dataset(
    out_dir: str,
    num_images: int = 500,
    image_size: int = 320,
    seed: int = 0,
    style: str = 'shapes',
    val_fraction: float = 0.2,
    object_size: Optional[Sequence[float]] = None,
    max_objects: int = 8,
) -> bool:
    """Make the synthetic data set, unless it is there already with these parameters.

    Layout: ``JPEGImages/NAME.jpg``, ``Annotations/NAME.xml``, ``masks/NAME.png`` (0 and 255) and
    ``ImageSets/Main/{train,val}.txt``; the last images are the validation ones. The folder is
    made beside its place and renamed, and a lock lets only one process make it, so that several
    may start at once. Image number i depends on the seed and i alone.

    Args:
        out_dir (str): Folder of the data set.
        num_images (int): Number of images, both splits together.
        image_size (int): Side of the square images in px.
        seed (int): Seed of everything random.
        style (str): 'shapes' or 'infrared', see :data:`synthetic_scene.STYLES`.
        val_fraction (float): Share of the images for validation, at least one image.
        object_size (Sequence[float], optional): Shortest and longest object in px. Defaults to
            (6, 40) for shapes and (4, 14) for infrared.
        max_objects (int): Most objects an image has.

    Returns:
        bool: Whether it was made; False if it was there.

    Raises:
        UserError: If a parameter is out of its range.
        UserError: If ``out_dir`` holds files that this function did not make.

    Example:
        >>> make_synthetic_dataset('data/synthetic_det', num_images=100)  # doctest: +SKIP
        True
    """
    parameters = _check_parameters(
        num_images, image_size, seed, style, val_fraction, object_size, max_objects
    )
    return make_stamped_folder(out_dir, STAMP, parameters, _write_all)


def _check_parameters(
    num_images: int,
    image_size: int,
    seed: int,
    style: str,
    val_fraction: float,
    object_size: Optional[Sequence[float]],
    max_objects: int,
) -> dict:
    """The parameters as they stand in the stamp."""
    if style not in STYLES:
        raise UserError(f'style is {style!r}, expected one of {tuple(STYLES)}')
    if num_images < 2 or not 0 < val_fraction < 1:
        raise UserError(
            f'num_images is {num_images} and val_fraction {val_fraction}, expected at least 2 '
            'images and a fraction between 0 and 1'
        )
    low, high = (float(value) for value in object_size or OBJECT_SIZES[style])
    if not 2 <= low <= high <= image_size / 4:
        raise UserError(
            f'object_size is ({low:g}, {high:g}), expected 2 <= shortest <= longest <= a quarter '
            f'of image_size={image_size}'
        )
    if max_objects < 1 or seed < 0:
        raise UserError(f'max_objects is {max_objects} and seed {seed}, expected >= 1 and >= 0')
    return dict(
        generator=_GENERATOR_VERSION,
        num_images=int(num_images),
        image_size=int(image_size),
        seed=int(seed),
        style=style,
        val_fraction=float(val_fraction),
        object_size=[low, high],
        max_objects=int(max_objects),
    )


def _write_all(folder: str, parameters: dict) -> None:
    for sub in ('JPEGImages', 'Annotations', 'masks', osp.join('ImageSets', 'Main')):
        os.makedirs(osp.join(folder, sub))
    count = parameters['num_images']
    names = [f'{index:06d}' for index in range(count)]
    for index, name in enumerate(names):
        scene = render_scene(
            np.random.default_rng([parameters['seed'], index]),
            parameters['image_size'],
            parameters['style'],
            tuple(parameters['object_size']),
            parameters['max_objects'],
        )
        write_image(osp.join(folder, 'JPEGImages', f'{name}.jpg'), scene.image)
        write_image(osp.join(folder, 'masks', f'{name}.png'), scene.mask)
        text = _voc_xml(f'{name}.jpg', scene, STYLES[parameters['style']])
        _write_text(osp.join(folder, 'Annotations', f'{name}.xml'), text)
    lists = [osp.join(folder, 'ImageSets', 'Main', f'{split}.txt') for split in ('train', 'val')]
    write_lists(lists, names, parameters['val_fraction'])


def write_lists(paths: Sequence[str], names: Sequence[str], fraction: float) -> None:
    """Write the names of the images to train and of the others, which are the last.

    Args:
        paths (Sequence[str]): The two files.
        names (Sequence[str]): All names.
        fraction (float): Share of the others; each list has one name at least.
    """
    number = min(max(round(len(names) * fraction), 1), len(names) - 1)
    for path, part in zip(paths, (names[:-number], names[-number:])):
        _write_text(path, '\n'.join(part) + '\n')


def write_image(path: str, image: np.ndarray) -> None:
    """Write an image in the format of the path's ending.

    Raises:
        UserError: OpenCV cannot.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.endswith('.jpg') else []
    if not cv2.imwrite(path, image, options):
        raise UserError(f'{path}: OpenCV could not write the image')


def _write_text(path: str, text: str) -> None:
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def _voc_xml(filename: str, scene: Scene, classes: Sequence[str]) -> str:
    """Annotation in the format of Pascal VOC, coordinates with two decimals."""
    height, width = scene.mask.shape
    lines = [
        '<annotation>',
        f'  <filename>{escape(filename)}</filename>',
        f'  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>',
    ]
    for label, box in zip(scene.labels, scene.boxes):
        corners = ''.join(f'<{key}>{value:.2f}</{key}>' for key, value in zip(_CORNERS, box))
        lines.append(
            f'  <object><name>{classes[label]}</name><difficult>0</difficult>'
            f'<bndbox>{corners}</bndbox></object>'
        )
    return '\n'.join([*lines, '</annotation>']) + '\n'
