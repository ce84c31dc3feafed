# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Mosaic of four or of nine images."""

from __future__ import annotations

from typing import Sequence

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from .annotations import Annotations, clip_and_drop

#: Row and column of each image of a nine-image mosaic; the sample itself is in the middle.
NINE_CELLS = np.array(
    [[1, 1], [0, 0], [0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1], [2, 2]], dtype=np.int64
)


def four_layout(sizes: np.ndarray, center: Sequence[int] | np.ndarray) -> np.ndarray:
    """Place four images so that they meet in one point.

    Args:
        sizes: Array (4, 2) int, width and height of each image in pixels.
        center: x and y of the point, in pixels of the canvas.

    Returns:
        Array (4, 2) int: x and y of each image's top left corner; the order is top left,
        top right, bottom left, bottom right.
    """
    goes_back = np.array([[1, 1], [0, 1], [1, 0], [0, 0]], dtype=np.int64)
    return np.asarray(center, dtype=np.int64) - goes_back * sizes


def nine_layout(sizes: np.ndarray, cell: Sequence[int]) -> np.ndarray:
    """Place nine images in three rows and columns around the first one.

    The middle column is as wide as its widest image and the middle row as high as its highest;
    the outer images lie against them. No two images overlap and all lie inside three by three
    cells.

    Args:
        sizes: Array (9, 2) int, width and height in pixels, none above ``cell``.
        cell: Width and height of a cell in pixels; the middle image starts at this point.

    Returns:
        Array (9, 2) int: x and y of each image's top left corner.
    """
    side = np.asarray(cell, dtype=np.int64)
    row, column = NINE_CELLS[:, 0], NINE_CELLS[:, 1]
    middle = np.array([sizes[column == 1, 0].max(), sizes[row == 1, 1].max()])
    position = np.stack([column, row], axis=1)
    return np.select(
        [position == 0, position == 1],
        [side - sizes, np.broadcast_to(side, sizes.shape)],
        default=side + middle,
    )


@TRANSFORMS.register_module()
class SmallObjectMosaic(BaseTransform):
    """Join the sample with three or with eight others on a canvas of twice the training size.

    Every image is resized with its aspect ratio kept so that it fits ``img_scale`` (W, H). Four
    images meet in a random point of the 2W x 2H canvas. Nine images lie in a grid around the
    sample, and a 2W x 2H window at a random place in 3W x 3H is what is seen. What no image covers
    is filled with ``pad_val``. :class:`MosaicAffine` then makes W x H out of the canvas.

    For use in mmdet's ``MultiImageMixDataset``: the others come as ``mix_results``, and their
    number says which mosaic it is. mmdet's own ``Mosaic`` knows four images only and keeps slivers
    of objects. Random numbers come from ``numpy.random``.

    Source: the recipe of Liu et al., TL-OBSDM, The Visual Computer 2025 (mosaic of 4 in 80 % and
    of 9 in 20 % of the samples).

    Required keys: ``img``, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_ignore_flags`` (optional),
    ``mix_results`` (list of 0, 3 or 8 such samples). Modified keys: these (but ``mix_results``)
    and ``img_shape``; ``homography_matrix`` is removed, since no single matrix describes a mosaic.

    Args:
        img_scale: Width and height in pixels of one cell, which is the size to train at.
        nine_prob: Part of the mosaics that have nine images instead of four.
        prob: Probability of a mosaic at all; otherwise the sample alone lies in the middle of the
            canvas, which :class:`MosaicAffine` turns into an ordinary letterboxed image.
        center_ratio_range: Range of the point where four images meet, in cells.
        min_area_ratio: Objects that keep no more than this part of their area inside the canvas
            are dropped.
        pad_val: Gray value of the canvas where no image is.

    Raises:
        UserError: If a probability, range or size is outside what is possible, if the images
            differ in channels, or if ``mix_results`` has another number of samples.
    """

    def __init__(
        self,
        img_scale: tuple[int, int] = (640, 640),
        nine_prob: float = 0.2,
        prob: float = 1.0,
        center_ratio_range: tuple[float, float] = (0.5, 1.5),
        min_area_ratio: float = 0.1,
        pad_val: int = 114,
    ) -> None:
        self.img_scale = check_img_scale('SmallObjectMosaic', img_scale)
        for name, value in (('nine_prob', nine_prob), ('prob', prob)):
            if not 0 <= value <= 1:
                raise UserError(f'SmallObjectMosaic: {name} is {value}, expected a value in [0, 1]')
        low, high = center_ratio_range
        if not 0 < low <= high < 2:
            raise UserError(
                f'SmallObjectMosaic: center_ratio_range is {center_ratio_range}, expected '
                '0 < low <= high < 2'
            )
        if not 0 <= min_area_ratio < 1:
            raise UserError(
                f'SmallObjectMosaic: min_area_ratio is {min_area_ratio}, expected a value in [0, 1)'
            )
        self.nine_prob = nine_prob
        self.prob = prob
        self.center_ratio_range = (low, high)
        self.min_area_ratio = min_area_ratio
        self.pad_val = pad_val

    def get_indexes(self, dataset: Sequence) -> list[int]:
        """Draw the other images.

        Args:
            dataset: The wrapped data set; only its length is used.

        Returns:
            Three or eight indices, or none if there is to be no mosaic this time.
        """
        if np.random.random() >= self.prob:
            return []
        count = 8 if np.random.random() < self.nine_prob else 3
        return np.random.randint(0, len(dataset), size=count).tolist()

    def _center(self) -> np.ndarray:
        ratios = np.random.uniform(*self.center_ratio_range, size=2)
        return (ratios * self.img_scale).astype(np.int64)

    def _offset(self) -> np.ndarray:
        return np.random.randint(0, np.array(self.img_scale) + 1)

    def _layout(self, sizes: np.ndarray) -> np.ndarray:
        """Top left corners (n, 2) on the canvas for images of ``sizes`` (n, 2)."""
        if len(sizes) == 1:
            return np.array(self.img_scale) - sizes // 2
        if len(sizes) == 4:
            return four_layout(sizes, self._center())
        return nine_layout(sizes, self.img_scale) - self._offset()

    def transform(self, results: dict) -> dict:
        """Make the mosaic.

        Args:
            results: The sample, with ``mix_results``.

        Returns:
            The sample with an image of (2H, 2W[, C]) and the boxes of all images.
        """
        if 'mix_results' not in results:
            raise UserError(
                "SmallObjectMosaic: the sample has no 'mix_results': use it in the pipeline of an "
                'mmdet MultiImageMixDataset'
            )
        samples = [results, *results['mix_results']]
        if len(samples) not in (1, 4, 9):
            raise UserError(
                f'SmallObjectMosaic: found {len(samples) - 1} samples to mix in, expected 0, 3 or '
                '8 as get_indexes draws them'
            )
        first = results['img']
        shapes = np.array([sample['img'].shape[:2] for sample in samples], dtype=np.int64)
        source = shapes[:, ::-1]
        ratio = (np.array(self.img_scale) / source).min(axis=1, keepdims=True)
        sizes = np.maximum(np.rint(source * ratio), 1).astype(np.int64)
        corners = self._layout(sizes)
        width, height = 2 * self.img_scale[0], 2 * self.img_scale[1]
        canvas = np.full((height, width, *first.shape[2:]), self.pad_val, dtype=first.dtype)

        parts = []
        for sample, old, new, corner in zip(samples, source, sizes, corners):
            part = Annotations.read(sample, 'SmallObjectMosaic')
            # The sizes are whole pixels, so that the true ratios differ a little from `ratio`.
            part.boxes = part.boxes * np.tile(new / old, 2).astype(np.float32)
            part.boxes += np.tile(corner, 2).astype(np.float32)
            parts.append(part)
            self._paste(canvas, sample, new, corner)
        joined = clip_and_drop(
            Annotations.concatenate(parts), width, height, min_area_ratio=self.min_area_ratio
        )
        results['img'] = canvas
        results['img_shape'] = canvas.shape[:2]
        results.pop('homography_matrix', None)
        joined.write(results)
        return results

    @staticmethod
    def _paste(canvas: np.ndarray, sample: dict, size: np.ndarray, corner: np.ndarray) -> None:
        """Resize an image to ``size`` (w, h) and copy what falls onto the canvas at ``corner``."""
        img = sample['img']
        if img.shape[2:] != canvas.shape[2:] or img.dtype != canvas.dtype:
            raise UserError(
                f'SmallObjectMosaic: {sample.get("img_path", "an image")} is {img.dtype} of shape '
                f'{img.shape}, the first image has {canvas.dtype} and {canvas.shape[2:]} channels: '
                "load all images alike, for example with LoadImageFromFile(color_type='color')"
            )
        limit = np.array([canvas.shape[1], canvas.shape[0]])
        low = np.maximum(corner, 0)
        high = np.minimum(corner + size, limit)
        if (high <= low).any():
            return
        if tuple(size) != (img.shape[1], img.shape[0]):
            img = mmcv.imresize(img, (int(size[0]), int(size[1])))
            img = img.reshape(*img.shape[:2], *canvas.shape[2:])
        (x1, y1), (x2, y2) = low, high
        (u1, v1), (u2, v2) = low - corner, high - corner
        canvas[y1:y2, x1:x2] = img[v1:v2, u1:u2]

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(img_scale={self.img_scale}, nine_prob={self.nine_prob}, '
            f'prob={self.prob}, center_ratio_range={self.center_ratio_range}, '
            f'min_area_ratio={self.min_area_ratio}, pad_val={self.pad_val})'
        )


def check_img_scale(user: str, img_scale: Sequence[int]) -> tuple[int, int]:
    """Return a size as (width, height), or raise ValueError if it is not two positive integers."""
    scale = tuple(img_scale) if isinstance(img_scale, (tuple, list)) else ()
    if len(scale) != 2 or not all(isinstance(side, int) and side > 0 for side in scale):
        raise UserError(
            f'{user}: img_scale is {img_scale!r}, expected (width, height) in whole pixels'
        )
    return scale
