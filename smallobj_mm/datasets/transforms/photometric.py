# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Mild changes of intensity for infrared images."""

from typing import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError


@TRANSFORMS.register_module()
class RandomGammaNoise(BaseTransform):
    """Gamma and sensor noise, the same in all channels, as infrared images are gray.

    Required keys: img (uint8). Modified keys: img.

    Args:
        gamma (Sequence[float]): Least and largest exponent of the intensity, drawn
            log-uniformly. Defaults to (0.7, 1.4).
        noise (float): Largest standard deviation of the Gaussian noise in gray levels of 255,
            drawn uniformly from 0 on. Defaults to 3.
        prob (float): Probability of a change. Defaults to 0.5.

    Raises:
        UserError: If an argument is out of its range.
    """

    def __init__(
        self, gamma: Sequence[float] = (0.7, 1.4), noise: float = 3.0, prob: float = 0.5
    ) -> None:
        if len(gamma) != 2 or not 0 < gamma[0] <= gamma[1] or noise < 0 or not 0 <= prob <= 1:
            raise UserError(
                f'RandomGammaNoise: gamma is {gamma}, noise {noise} and prob {prob}, expected '
                '0 < least <= largest, noise >= 0 and 0 <= prob <= 1'
            )
        self.gamma = tuple(gamma)
        self.noise = noise
        self.prob = prob

    @cache_randomness
    def _draw(self) -> tuple:
        """Whether to change the image, the exponent and the standard deviation."""
        change, gamma, noise = np.random.rand(3)
        low, high = np.log(self.gamma)
        return change < self.prob, float(np.exp(low + (high - low) * gamma)), noise * self.noise

    def transform(self, results: dict) -> dict:
        """Change the image.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample with its new image.

        Raises:
            UserError: If the image is not uint8.
        """
        img = results['img']
        if img.dtype != np.uint8:
            raise UserError(f'RandomGammaNoise: img is {img.dtype}, expected uint8')
        change, gamma, deviation = self._draw()
        if change:
            curve = 255 * np.linspace(0, 1, 256, dtype=np.float32) ** np.float32(gamma)
            noise = np.random.normal(0, deviation, img.shape[:2]).astype(np.float32)
            level = curve[img] + noise.reshape(noise.shape + (1,) * (img.ndim - 2))
            results['img'] = np.clip(np.rint(level), 0, 255).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(gamma={self.gamma}, noise={self.noise}, prob={self.prob})'
