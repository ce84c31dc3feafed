# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Degradations of infrared images by optics and detectors that training images did not see.

Each is one transform that changes the image alone. In a pipeline they stand in the order in which
light, detector and file meet them: defocus, vignetting, noise, fixed pattern, then those of
``ir_levels``: intensity and polarity, bit depth, JPEG. Those that add noise look at the truth,
where it is there, and spare the weakest target.
"""

from typing import Optional, Sequence

import cv2
import numpy as np

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from .degradation import BaseDegradation, check_range, tolerable_noise


@TRANSFORMS.register_module()
class RandomDefocus(BaseDegradation):
    """Blur of the optics: a Gaussian, or the even disk of a lens out of focus.

    Required keys: img. Modified keys: img. See :class:`BaseDegradation`.

    Args:
        sigma (Sequence[float]): Range of the standard deviation in px; a disk has a radius of
            twice that, which is the same spread. Defaults to (0.3, 0.9): at 1 a point of 5 px
            keeps about a third of its peak.
        disk_prob (float): Probability of the disk. Defaults to 0.3.
        prob (float): Probability of a change. Defaults to 0.3.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> img = np.zeros((15, 15), np.uint8)
        >>> img[7, 7] = 200
        >>> 20 < RandomDefocus(sigma=(0.8, 0.8), prob=1)(dict(img=img))['img'][7, 7] < 100
        True
    """

    def __init__(
        self, sigma: Sequence[float] = (0.3, 0.9), disk_prob: float = 0.3, prob: float = 0.3
    ) -> None:
        super().__init__(prob)
        self.sigma = check_range(type(self).__name__, 'sigma', sigma, 0.05)
        if not 0 <= disk_prob <= 1:
            raise UserError(f'RandomDefocus: disk_prob is {disk_prob}, expected 0 to 1')
        self.disk_prob = disk_prob

    def degrade(
        self, rng: np.random.Generator, img: np.ndarray, truth: Optional[np.ndarray]
    ) -> np.ndarray:
        """The blurred image."""
        sigma = float(rng.uniform(*self.sigma))
        if rng.random() >= self.disk_prob:
            blurred = cv2.GaussianBlur(img, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        else:
            radius = 2 * sigma
            reach = int(np.ceil(radius))
            rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
            kernel = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1).astype(np.float32)
            blurred = cv2.filter2D(img, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)
        return blurred.reshape(img.shape)


@TRANSFORMS.register_module()
class RandomSensorNoise(BaseDegradation):
    """Noise of the detector: read noise, the same everywhere, and shot noise, growing with light.

    The variance of a pixel of level v is ``read**2 + shot * v``.

    Required keys: img. Optional keys: gt_seg_map. Modified keys: img.
    See :class:`BaseDegradation`.

    Args:
        read (Sequence[float]): Range of the standard deviation in gray levels, drawn
            uniformly. Defaults to (0, 5).
        shot (Sequence[float]): Range of the variance for each gray level, drawn uniformly.
            Defaults to (0, 0.15), a deviation of 4.4 at level 128.
        target_snr (float): The noise is weakened where it would leave a target less than this
            many standard deviations of its mean, see :func:`tolerable_noise`; 0 for no such
            limit. Defaults to 6.
        prob (float): Probability of a change. Defaults to 0.4.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> img = np.full((64, 64), 100, np.uint8)
        >>> noisy = RandomSensorNoise(read=(4, 4), shot=(0, 0), prob=1)(dict(img=img))['img']
        >>> 3.5 < noisy.std() < 4.5
        True
    """

    def __init__(
        self,
        read: Sequence[float] = (0.0, 5.0),
        shot: Sequence[float] = (0.0, 0.15),
        target_snr: float = 6.0,
        prob: float = 0.4,
    ) -> None:
        super().__init__(prob)
        name = type(self).__name__
        self.read = check_range(name, 'read', read, 0)
        self.shot = check_range(name, 'shot', shot, 0)
        if target_snr < 0:
            raise UserError(f'{name}: target_snr is {target_snr}, expected 0 or more')
        self.target_snr = target_snr

    def degrade(
        self, rng: np.random.Generator, img: np.ndarray, truth: Optional[np.ndarray]
    ) -> np.ndarray:
        """The image with noise, the same in all channels."""
        read, shot = float(rng.uniform(*self.read)), float(rng.uniform(*self.shot))
        gray = img[..., :1] if img.shape[2] == 1 else img.mean(axis=2, keepdims=True)
        deviation = np.sqrt(read**2 + shot * gray)
        typical = float(deviation.mean())
        limit = tolerable_noise(img, truth, self.target_snr)
        if typical > limit:
            deviation *= limit / typical
        img += deviation * rng.standard_normal(gray.shape, np.float32)
        return img


@TRANSFORMS.register_module()
class RandomFixedPattern(BaseDegradation):
    """Fixed pattern of an uncooled detector: stripes, slow bands, pixels of unequal gain.

    Required keys: img. Optional keys: gt_seg_map. Modified keys: img.
    See :class:`BaseDegradation`.

    Args:
        stripes (Sequence[float]): Range of the standard deviation of the offsets of columns, or
            of rows, in gray levels. Defaults to (0, 3).
        bands (Sequence[float]): Range of the amplitude of a sine across the image, 6 to 64 px
            long, in gray levels. Defaults to (0, 3).
        gain (Sequence[float]): Range of the standard deviation of the pixels' gains as a share.
            Defaults to (0, 0.02).
        row_prob (float): Probability that stripes and bands run along rows instead of columns.
            Defaults to 0.4.
        target_snr (float): As of :class:`RandomSensorNoise`. Defaults to 6.
        prob (float): Probability of a change. Defaults to 0.3.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> img = np.full((8, 64), 100, np.float32)
        >>> columns = RandomFixedPattern(gain=(0, 0), row_prob=0, prob=1)(dict(img=img))['img']
        >>> bool((columns == columns[0]).all())
        True
    """

    def __init__(
        self,
        stripes: Sequence[float] = (0.0, 3.0),
        bands: Sequence[float] = (0.0, 3.0),
        gain: Sequence[float] = (0.0, 0.02),
        row_prob: float = 0.4,
        target_snr: float = 6.0,
        prob: float = 0.3,
    ) -> None:
        super().__init__(prob)
        name = type(self).__name__
        self.stripes = check_range(name, 'stripes', stripes, 0)
        self.bands = check_range(name, 'bands', bands, 0)
        self.gain = check_range(name, 'gain', gain, 0)
        if not 0 <= row_prob <= 1 or target_snr < 0:
            raise UserError(
                f'{name}: row_prob is {row_prob} and target_snr {target_snr}, expected 0 to 1 and '
                '0 or more'
            )
        self.row_prob = row_prob
        self.target_snr = target_snr

    def degrade(
        self, rng: np.random.Generator, img: np.ndarray, truth: Optional[np.ndarray]
    ) -> np.ndarray:
        """The image with the pattern, the same in all channels."""
        along_rows = rng.random() < self.row_prob
        length = img.shape[0] if along_rows else img.shape[1]
        limit = tolerable_noise(img, truth, self.target_snr)
        deviation = min(float(rng.uniform(*self.stripes)), limit)
        offsets = deviation * rng.standard_normal(length, np.float32)
        wave = 2 * np.pi * np.arange(length) / np.exp(rng.uniform(np.log(6), np.log(64)))
        offsets += float(rng.uniform(*self.bands)) * np.sin(wave + rng.uniform(0, 2 * np.pi))
        pixel_gain = float(rng.uniform(*self.gain))
        if pixel_gain > 0:
            pixel_gain = min(pixel_gain, limit / max(float(img.mean()), 1.0))
            img *= 1 + pixel_gain * rng.standard_normal((*img.shape[:2], 1), np.float32)
        offsets = offsets.astype(np.float32)
        img += offsets[:, None, None] if along_rows else offsets[None, :, None]
        return img


@TRANSFORMS.register_module()
class RandomVignetting(BaseDegradation):
    """Uneven offset from the lens: a paraboloid, its corners darker or brighter than its center.

    Required keys: img. Modified keys: img. See :class:`BaseDegradation`.

    Args:
        strength (Sequence[float]): Range of the difference between the farthest corner and the
            center in gray levels, of either sign. Defaults to (5, 40).
        prob (float): Probability of a change. Defaults to 0.2.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> img = np.full((64, 64), 100, np.float32)
        >>> shaded = RandomVignetting(strength=(30, 30), prob=1)(dict(img=img))['img']
        >>> 25 < shaded.max() - shaded.min() <= 30
        True
    """

    def __init__(self, strength: Sequence[float] = (5.0, 40.0), prob: float = 0.2) -> None:
        super().__init__(prob)
        self.strength = check_range(type(self).__name__, 'strength', strength, 0)

    def degrade(
        self, rng: np.random.Generator, img: np.ndarray, truth: Optional[np.ndarray]
    ) -> np.ndarray:
        """The image with the offset."""
        height, width = img.shape[:2]
        center = rng.uniform(0.3, 0.7, 2)
        rows = (np.linspace(0, 1, height, dtype=np.float32) - np.float32(center[0])) ** 2
        columns = (np.linspace(0, 1, width, dtype=np.float32) - np.float32(center[1])) ** 2
        shape = rows[:, None] + columns[None]
        strength = float(rng.uniform(*self.strength))
        # The sign for which more of the image keeps its levels.
        sign = -1.0 if rng.random() < (0.8 if img.mean() > 128 else 0.3) else 1.0
        img += ((sign * strength / max(float(shape.max()), 1e-6)) * shape)[..., None]
        return img
