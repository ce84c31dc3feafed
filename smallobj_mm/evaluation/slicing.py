# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Large images with known objects, put together from a detection set's small ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from smallobj_mm.utils.errors import UserError

#: Gray level where an image is smaller than its cell.
FILL = 114


@dataclass
class Mosaic:
    """An image of several, and their boxes in its pixels.

    Attributes:
        image: Array (H, W, C), of the type of the images.
        bboxes: Array (n, 4) float32, x1, y1, x2, y2 in px.
        labels: Array (n,) int64.
        ignored: Array (n,) bool: boxes that are neither to be found nor missed.
    """

    image: np.ndarray
    bboxes: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray

    def truth(self, ignored: bool) -> dict[str, np.ndarray]:
        """Boxes to find, or to ignore, as ``SmallObjectMetric`` takes them."""
        chosen = self.ignored == ignored
        return dict(bboxes=self.bboxes[chosen], labels=self.labels[chosen])


def parse_mosaic(text: str) -> tuple[int, int]:
    """Columns and rows of ``'4x4'``.

    Raises:
        UserError: It is something else.
    """
    match = re.fullmatch(r'([1-9]\d*)[xX]([1-9]\d*)', text.strip())
    if not match:
        raise UserError(f'mosaic {text!r}: expected COLUMNSxROWS such as 4x4')
    return int(match[1]), int(match[2])


def make_mosaic(infos: Sequence[dict], columns: int, read: Callable[[str], np.ndarray]) -> Mosaic:
    """Lay images side by side, row by row.

    Every cell is as large as the largest image, which lies in its upper left corner.

    Args:
        infos: Of each image what mmdet's data sets give: ``img_path`` and ``instances`` with
            ``bbox``, ``bbox_label`` and ``ignore_flag``.
        columns: Images in a row.
        read: Gives the image (H, W, C) of a path.

    Raises:
        UserError: The images have different numbers of channels.
    """
    images = [np.atleast_3d(read(info['img_path'])) for info in infos]
    if len({image.shape[2] for image in images}) > 1:
        raise UserError(
            f'{infos[0]["img_path"]} and others: different numbers of channels, expected one; '
            "load with color_type='color'"
        )
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    rows = -(-len(images) // columns)
    shape = (rows * height, columns * width, images[0].shape[2])
    canvas = np.full(shape, FILL, dtype=images[0].dtype)
    boxes, labels, ignored = [np.zeros((0, 4))], [], []
    for number, (image, info) in enumerate(zip(images, infos)):
        top, left = number // columns * height, number % columns * width
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
        objects = info.get('instances') or []
        own = np.array([instance['bbox'] for instance in objects], dtype=np.float64).reshape(-1, 4)
        boxes.append(own + np.array([left, top, left, top]))
        labels += [instance['bbox_label'] for instance in objects]
        ignored += [bool(instance.get('ignore_flag')) for instance in objects]
    return Mosaic(
        canvas,
        np.concatenate(boxes).astype(np.float32),
        np.array(labels, dtype=np.int64),
        np.array(ignored, dtype=bool),
    )
