# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the degradations of infrared images share."""

from abc import abstractmethod
from typing import Optional, Sequence, Tuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from smallobj_mm.utils.errors import UserError

_SEEDS = 2**31


def check_range(
    owner: str, option: str, value: Sequence[float], least: float = -np.inf
) -> Tuple[float, float]:
    """A pair (smallest, largest), checked.

    Args:
        owner (str): Name of the component, for the message.
        option (str): Name of its option.
        value (Sequence[float]): The pair.
        least (float): Neither may be below this.

    Returns:
        tuple[float, float]: The pair as floats.

    Raises:
        UserError: If it is no such pair.
    """
    if len(value) != 2 or not least <= value[0] <= value[1]:
        bound = f'{least:g} <= ' if np.isfinite(least) else ''
        raise UserError(f'{owner}: {option} is {value}, expected a pair {bound}smallest <= largest')
    return float(value[0]), float(value[1])


class BaseDegradation(BaseTransform):
    """Degrades the image with a probability; the truth stays as it is.

    Usable in the pipelines of mmseg, mmdet and mmpretrain alike.

    Required keys: img (uint8 or float32 of 0 to 255, (H, W) or (H, W, C)); of several channels
    all change alike, as infrared images are gray. Modified keys: img, a new array.

    Args:
        prob (float): Probability of a change, 0 to 1.

    Raises:
        UserError: If ``prob`` is out of its range.
    """

    def __init__(self, prob: float) -> None:
        if not 0 <= prob <= 1:
            raise UserError(f'{type(self).__name__}: prob is {prob}, expected 0 to 1')
        self.prob = prob

    @cache_randomness
    def _seed(self) -> int:
        """Seed of everything that is drawn for an image."""
        return int(np.random.randint(_SEEDS))

    @abstractmethod
    def degrade(
        self, rng: np.random.Generator, img: np.ndarray, truth: Optional[np.ndarray]
    ) -> np.ndarray:
        """The degraded image.

        Args:
            rng (np.random.Generator): Source of all randomness.
            img (np.ndarray): (H, W, C) float32, may be changed in place.
            truth (np.ndarray, optional): (H, W), 1 on targets; None if there is none.

        Returns:
            np.ndarray: (H, W, C) float32; values beyond 0 to 255 are clipped.
        """

    def transform(self, results: dict) -> dict:
        """Degrade the image.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample with its new image.

        Raises:
            UserError: If the image is neither uint8 nor float32.
        """
        img = results['img']
        if img.dtype not in (np.uint8, np.float32):
            raise UserError(
                f'{type(self).__name__}: img is {img.dtype}, expected uint8 or float32 of 0 to 255'
            )
        rng = np.random.default_rng(self._seed())
        if rng.random() >= self.prob or img.size == 0:
            return results
        levels = img.reshape(*img.shape[:2], -1).astype(np.float32)
        levels = self.degrade(rng, levels, results.get('gt_seg_map'))
        np.clip(levels, 0, 255, out=levels)
        if img.dtype == np.uint8:
            levels = np.rint(levels, out=levels).astype(np.uint8)
        results['img'] = np.ascontiguousarray(levels).reshape(img.shape)
        return results

    def __repr__(self) -> str:
        options = ', '.join(f'{name}={value}' for name, value in vars(self).items())
        return f'{type(self).__name__}({options})'


def tolerable_noise(img: np.ndarray, truth: Optional[np.ndarray], snr: float) -> float:
    """Largest standard deviation of noise at which every target can still be seen.

    A target of mean contrast c and area a px stands out of white noise of deviation s by
    c sqrt(a) / s.

    Args:
        img (np.ndarray): (H, W, C) gray levels, float32.
        truth (np.ndarray, optional): (H, W), 1 on targets.
        snr (float): What c sqrt(a) / s must not fall below.

    Returns:
        float: The deviation in gray levels, inf if there is no target.
    """
    if truth is None or snr <= 0:
        return float('inf')
    targets = (truth == 1).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(targets, connectivity=8)
    largest = float('inf')
    for label in range(1, count):
        x, y, w, h, area = stats[label].tolist()
        window = (slice(max(y - 4, 0), y + h + 4), slice(max(x - 4, 0), x + w + 4))
        inside = labels[window] == label
        outside = targets[window] == 0
        pixels = img[window].mean(axis=2)
        if outside.any():
            contrast = abs(float(pixels[inside].mean()) - float(np.median(pixels[outside])))
            largest = min(largest, contrast * area**0.5 / snr)
    return largest
