# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Degradations of infrared images by what happens to gray levels: gain, polarity, bits, files."""

from typing import Optional, Sequence

import cv2
import numpy as np

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from .degradation import BaseDegradation, check_range


@TRANSFORMS.register_module()
class RandomIRIntensity(BaseDegradation):
    """Gain, offset and gamma.

    The image's range is scaled by the gain and laid at random within 0 to 255: contrast and
    brightness change, but no more than ``clip`` of the range is cut off at either end, so that
    bright targets do not sink into a saturated background. Then follows the gamma curve, across
    the new range.

    Required keys: img. Modified keys: img. See :class:`BaseDegradation`.

    Args:
        gain (Sequence[float]): Range of the factor of the contrast, drawn log-uniformly; it is
            lowered where the image would not fit into 0 to 255. Defaults to (0.4, 2.0).
        gamma (Sequence[float]): Range of the exponent, drawn log-uniformly. Defaults to
            (0.7, 1.4).
        clip (float): Largest share of the range that may be cut off at each end. Defaults to
            0.03.
        min_span (float): Least range that a gain below 1 leaves in gray levels. Defaults to 40.
        prob (float): Probability of a change. Defaults to 0.5.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> img = np.linspace(100, 140, 400).reshape(20, 20).astype(np.float32)
        >>> wide = RandomIRIntensity(gain=(2, 2), gamma=(1, 1), prob=1)(dict(img=img))['img']
        >>> round(float(wide.max() - wide.min()))
        80
    """

    def __init__(
        self,
        gain: Sequence[float] = (0.4, 2.0),
        gamma: Sequence[float] = (0.7, 1.4),
        clip: float = 0.03,
        min_span: float = 40.0,
        prob: float = 0.5,
    ) -> None:
        super().__init__(prob)
        name = type(self).__name__
        self.gain = check_range(name, 'gain', gain, 1e-3)
        self.gamma = check_range(name, 'gamma', gamma, 1e-3)
        if not 0 <= clip < 0.5 or not 0 <= min_span <= 255:
            raise UserError(
                f'{name}: clip is {clip} and min_span {min_span}, expected 0 <= clip < 0.5 and '
                '0 <= min_span <= 255'
            )
        self.clip = clip
        self.min_span = min_span

    def degrade(
        self, rng: np.random.Generator, img: np.ndarray, truth: Optional[np.ndarray]
    ) -> np.ndarray:
        """New contrast, brightness and gamma."""
        low, high = float(img.min()), float(img.max())
        span = max(high - low, 1.0)
        gain = float(np.exp(rng.uniform(*np.log(self.gain))))
        gain = max(gain, min(self.min_span / span, 1.0))
        new_span = min(span * gain, 255 / (1 - 2 * self.clip))
        over = self.clip * new_span
        start = float(rng.uniform(-over, max(255 - new_span + over, -over)))
        gamma = float(np.exp(rng.uniform(*np.log(self.gamma))))
        share = (img - low) / span
        np.power(share, np.float32(gamma), out=share)
        share *= new_span
        share += start
        return share


@TRANSFORMS.register_module()
class RandomPolarity(BaseDegradation):
    """Black-hot in place of white-hot: 255 less the level. Bright targets become dark ones.

    Required keys: img. Modified keys: img. See :class:`BaseDegradation`.

    Args:
        prob (float): Probability of a change. Defaults to 0.1.

    Example:
        >>> import numpy as np
        >>> RandomPolarity(prob=1)(dict(img=np.uint8([[0, 200]])))['img']
        array([[255,  55]], dtype=uint8)
    """

    def __init__(self, prob: float = 0.1) -> None:
        super().__init__(prob)

    def degrade(
        self, rng: np.random.Generator, img: np.ndarray, truth: Optional[np.ndarray]
    ) -> np.ndarray:
        """The negative."""
        return np.subtract(255, img, out=img)


@TRANSFORMS.register_module()
class RandomBitDepth(BaseDegradation):
    """Fewer gray levels: what 8 bits leave of a scene that was recorded at low gain.

    Required keys: img. Modified keys: img. See :class:`BaseDegradation`.

    Args:
        step (Sequence[float]): Range of the distance of neighboring levels in gray levels of
            0 to 255, drawn log-uniformly. Defaults to (1.5, 6).
        prob (float): Probability of a change. Defaults to 0.2.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> img = np.arange(256, dtype=np.uint8).reshape(16, 16)
        >>> len(np.unique(RandomBitDepth(step=(16, 16), prob=1)(dict(img=img))['img'])) <= 18
        True
    """

    def __init__(self, step: Sequence[float] = (1.5, 6.0), prob: float = 0.2) -> None:
        super().__init__(prob)
        self.step = check_range(type(self).__name__, 'step', step, 1)

    def degrade(
        self, rng: np.random.Generator, img: np.ndarray, truth: Optional[np.ndarray]
    ) -> np.ndarray:
        """The image rounded to multiples of the step, from a random level on."""
        step = np.float32(np.exp(rng.uniform(*np.log(self.step))))
        start = np.float32(rng.uniform(0, step))
        img -= start
        img /= step
        np.rint(img, out=img)
        img *= step
        img += start
        return img


@TRANSFORMS.register_module()
class RandomJPEG(BaseDegradation):
    """What JPEG leaves of the image.

    Required keys: img. Modified keys: img. See :class:`BaseDegradation`.

    Args:
        quality (Sequence[int]): Range of the quality, 1 to 100. Defaults to (50, 95).
        prob (float): Probability of a change. Defaults to 0.2.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> img = np.full((32, 32), 100, np.uint8)
        >>> RandomJPEG(prob=1)(dict(img=img))['img'].shape
        (32, 32)
    """

    def __init__(self, quality: Sequence[int] = (50, 95), prob: float = 0.2) -> None:
        super().__init__(prob)
        low, high = check_range(type(self).__name__, 'quality', quality, 1)
        if high > 100:
            raise UserError(f'RandomJPEG: quality is {quality}, expected 100 at most')
        self.quality = (int(low), int(high))

    def degrade(
        self, rng: np.random.Generator, img: np.ndarray, truth: Optional[np.ndarray]
    ) -> np.ndarray:
        """The image, encoded and decoded."""
        quality = int(rng.integers(self.quality[0], self.quality[1] + 1))
        levels = np.rint(np.clip(img, 0, 255)).astype(np.uint8)
        gray = levels.shape[2] != 3
        for channel in range(levels.shape[2]) if gray else (slice(None),):
            plane = np.ascontiguousarray(levels[..., channel])
            _, data = cv2.imencode('.jpg', plane, [cv2.IMWRITE_JPEG_QUALITY, quality])
            flag = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
            levels[..., channel] = cv2.imdecode(data, flag)
        return levels.astype(np.float32)
