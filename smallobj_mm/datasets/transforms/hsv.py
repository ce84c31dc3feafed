# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Random gains of hue, saturation and value."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError


@TRANSFORMS.register_module()
class MultiplicativeHSV(BaseTransform):
    """Multiply hue, saturation and value of an 8-bit image by random gains.

    Each gain is 1 + U(-1, 1) · range, the same for the whole image; hue wraps round, saturation and
    value are clipped. Gray pixels stay gray. Images of one channel get the gain of the value only.
    mmdet's ``YOLOXHSVRandomAug`` adds offsets instead. Random numbers come from ``numpy.random``.

    Source: the recipe of Liu et al., TL-OBSDM, The Visual Computer 2025 (0.015, 0.7, 0.4).

    Required and modified key: ``img``, (H, W, 3) BGR, (H, W, 1) or (H, W), uint8.

    Args:
        hue: Range of the gain of the hue.
        saturation: Range of the gain of the saturation.
        value: Range of the gain of the value.

    Raises:
        UserError: If a range is not in [0, 1] or the image has another number of channels.
        UserError: If the image is not uint8.
    """

    def __init__(self, hue: float = 0.015, saturation: float = 0.7, value: float = 0.4) -> None:
        for name, gain in (('hue', hue), ('saturation', saturation), ('value', value)):
            if not 0 <= gain <= 1:
                raise UserError(f'MultiplicativeHSV: {name} is {gain}, expected one in [0, 1]')
        self.hue = hue
        self.saturation = saturation
        self.value = value

    def _draw(self) -> np.ndarray:
        return 1 + np.random.uniform(-1, 1, size=3) * [self.hue, self.saturation, self.value]

    def transform(self, results: dict) -> dict:
        """Change the colors of the image.

        Args:
            results: The sample.

        Returns:
            The sample with a new image of the same shape.
        """
        img = results['img']
        where = results.get('img_path', 'the image')
        if img.dtype != np.uint8:
            raise UserError(
                f'MultiplicativeHSV: {where} is {img.dtype}, expected uint8: load it without '
                'to_float32 and put this transform before any normalization'
            )
        channels = img.shape[2] if img.ndim == 3 else 1
        if channels not in (1, 3):
            raise UserError(
                f'MultiplicativeHSV: {where} has {channels} channels, expected 3 (BGR) or 1: load '
                "it with color_type='color'"
            )
        gains = self._draw()
        levels = np.arange(256)
        table = np.empty((256, 1, 3), dtype=np.uint8)
        table[:, 0, 0] = (levels * gains[0]) % 180
        table[:, 0, 1:] = np.clip(np.rint(levels[:, None] * gains[1:]), 0, 255)
        if channels == 1:
            results['img'] = cv2.LUT(img, table[:, 0, 2]).reshape(img.shape)
            return results
        hsv = cv2.LUT(cv2.cvtColor(img, cv2.COLOR_BGR2HSV), table)
        results['img'] = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(hue={self.hue}, saturation={self.saturation}, '
            f'value={self.value})'
        )
