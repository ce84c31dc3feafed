# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Crops of images with small targets."""

from typing import Sequence, Tuple, Union

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

_TARGET = 1  # value in gt_seg_map


def _apply_crop(results: dict, top: int, left: int, height: int, width: int) -> dict:
    """Crop the image and all maps; the sample is changed in place."""
    window = (slice(top, top + height), slice(left, left + width))
    for key in ('img', *results.get('seg_fields', [])):
        if results.get(key) is not None:
            results[key] = np.ascontiguousarray(results[key][window])
    results['img_shape'] = results['img'].shape[:2]
    return results


@TRANSFORMS.register_module()
class RandomEdgeCrop(BaseTransform):
    """Cut a random strip off each side of the image and of the maps in seg_fields.

    Required keys: img, seg_fields with the maps that it names.
    Modified keys: img, the maps, img_shape.

    Args:
        max_fraction (float): Widest strip, as a share of the image's side, at least 0 and below
            0.5. Each of the four strips is drawn uniformly. Defaults to 1/8, which is the
            iSmallNet recipe.
        prob (float): Probability of cropping. Defaults to 1.

    Raises:
        UserError: If an argument is out of its range.
    """

    def __init__(self, max_fraction: float = 0.125, prob: float = 1.0) -> None:
        if not 0 <= max_fraction < 0.5 or not 0 <= prob <= 1:
            raise UserError(
                f'RandomEdgeCrop: max_fraction is {max_fraction} and prob {prob}, expected '
                '0 <= max_fraction < 0.5 and 0 <= prob <= 1'
            )
        self.max_fraction = max_fraction
        self.prob = prob

    @cache_randomness
    def _strips(self, height: int, width: int) -> Tuple[int, int, int, int]:
        """Widths of the top, bottom, left and right strip in px."""
        if np.random.rand() >= self.prob:
            return 0, 0, 0, 0
        most = [int(side * self.max_fraction) for side in (height, height, width, width)]
        top, bottom, left, right = np.random.randint(0, np.array(most) + 1).tolist()
        return top, bottom, left, right

    def transform(self, results: dict) -> dict:
        """Crop the sample.

        Args:
            results (dict): The sample.

        Returns:
            dict: The cropped sample.
        """
        height, width = results['img'].shape[:2]
        top, bottom, left, right = self._strips(height, width)
        return _apply_crop(results, top, left, height - top - bottom, width - left - right)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(max_fraction={self.max_fraction}, prob={self.prob})'


@TRANSFORMS.register_module()
class TargetAwareCrop(BaseTransform):
    """A crop of fixed size, often around a target.

    With the probability ``prob`` one of the targets is chosen and the crop is laid around it,
    shifted at random; otherwise, and in images without targets, it lies anywhere. Images that
    are too small are first mirrored beyond their right and bottom border, truth included, so that
    what the network is shown there is labeled as it looks.

    Required keys: img, gt_seg_map named in seg_fields.
    Modified keys: img, the maps in seg_fields, img_shape.

    Args:
        size (int | Sequence[int]): Height and width of the crop in px, one number for both.
        prob (float): Probability of a crop around a target. Defaults to 0.75.
        jitter (float): Largest distance of the chosen target's center from the crop's, as a
            share of the crop's side, from 0 to 0.5. At 0.5 the target lies anywhere in the crop,
            at its border too. Defaults to 0.4.

    Raises:
        UserError: If an argument is out of its range.
    """

    def __init__(
        self, size: Union[int, Sequence[int]], prob: float = 0.75, jitter: float = 0.4
    ) -> None:
        sides = (size, size) if isinstance(size, int) else tuple(size)
        if len(sides) != 2 or min(sides) < 1 or not 0 <= prob <= 1 or not 0 <= jitter <= 0.5:
            raise UserError(
                f'TargetAwareCrop: size is {size}, prob {prob} and jitter {jitter}, expected one '
                'or two positive numbers, 0 <= prob <= 1 and 0 <= jitter <= 0.5'
            )
        self.size = sides
        self.prob = prob
        self.jitter = jitter

    @cache_randomness
    def _draw(self) -> np.ndarray:
        """Four numbers in [0, 1): whether around a target, which one, and the place (y, x)."""
        return np.random.rand(4)

    def transform(self, results: dict) -> dict:
        """Crop the sample.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample, of the size of the crop.
        """
        return self._crop(results, self.size)

    def _crop(self, results: dict, sides: Sequence[int]) -> dict:
        """Crop the sample to a height and a width in px."""
        size = np.array(sides)
        self._enlarge(results, sides)
        choice, which, *place = self._draw()
        free = np.array(results['img'].shape[:2]) - size
        corner = np.floor(np.array(place) * (free + 1))
        if choice < self.prob:
            truth = (results['gt_seg_map'] == _TARGET).view(np.uint8)
            count, _, _, centers = cv2.connectedComponentsWithStats(truth, connectivity=8)
            if count > 1:
                center = centers[1 + int(which * (count - 1))][::-1] + 0.5
                shift = (2 * np.array(place) - 1) * self.jitter * size
                corner = np.rint(center + shift - size / 2)
        top, left = np.clip(corner, 0, free).astype(int)
        return _apply_crop(results, int(top), int(left), *sides)

    @staticmethod
    def _enlarge(results: dict, sides: Sequence[int]) -> None:
        """Mirror the image and the maps beyond the right and bottom border where needed."""
        height, width = results['img'].shape[:2]
        down, right = max(sides[0] - height, 0), max(sides[1] - width, 0)
        if not down and not right:
            return
        for key in ('img', *results.get('seg_fields', [])):
            if results.get(key) is not None:
                results[key] = cv2.copyMakeBorder(
                    results[key], 0, down, 0, right, cv2.BORDER_REFLECT
                )

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size}, prob={self.prob}, jitter={self.jitter})'
