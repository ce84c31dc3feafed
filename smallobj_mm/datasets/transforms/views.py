# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Random augmentations that write down what they did.

Each transform changes ``img``, (H, W, 3) uint8 BGR, and the view's record under
``view_record``, see :func:`~.view_differences.new_record`. Random numbers come from
``numpy.random``. They are used inside :class:`~.view_wrappers.AugmentedViews`.
"""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from . import view_ops
from .view_differences import new_record, part_of_source
from .view_options import check_number, check_pair, check_prob, is_count


def _record(results: dict) -> dict:
    return results.setdefault('view_record', new_record())


@TRANSFORMS.register_module()
class RecordedCrop(BaseTransform):
    """Cut out a random part of the image and resize it to a square.

    Args:
        size: Side of the result in px.
        scale: Smallest and largest share of the image's area.
        ratio: Smallest and largest width / height of the part.
        interpolation: 'bilinear', 'area', 'bicubic' or 'nearest'.

    Raises:
        UserError: If an option is out of its range.
    """

    def __init__(
        self,
        size: int = 224,
        scale: tuple[float, float] = (0.2, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        interpolation: str = 'bilinear',
    ) -> None:
        if not is_count(size):
            raise UserError(
                f'RecordedCrop: size is {size!r}, expected an integer of 1 or more: the side of '
                'the square in px'
            )
        if interpolation not in list(view_ops.INTERPOLATIONS):  # a list: of any kind to compare
            raise UserError(
                f'RecordedCrop: interpolation is {interpolation!r}, expected one of '
                f'{", ".join(view_ops.INTERPOLATIONS)}'
            )
        self.size = size
        self.scale = check_pair('RecordedCrop', 'scale', scale, 1e-6, 1)
        self.ratio = check_pair('RecordedCrop', 'ratio', ratio, 1e-3, 1e3)
        self.interpolation = interpolation

    def transform(self, results: dict) -> dict:
        """Crop and resize."""
        img = results['img']
        height, width = img.shape[:2]
        x, y, w, h = view_ops.draw_crop(height, width, self.scale, self.ratio)
        results['img'] = cv2.resize(
            img[y : y + h, x : x + w],
            (self.size, self.size),
            interpolation=view_ops.INTERPOLATIONS[self.interpolation],
        )
        results['img_shape'] = (self.size, self.size)
        part = np.array([(x + w / 2) / width, (y + h / 2) / height, w / width, h / height])
        record = _record(results)
        record['crop'] = part_of_source(record, part)
        return results


@TRANSFORMS.register_module()
class RecordedFlip(BaseTransform):
    """Mirror the image left to right.

    Args:
        prob: Probability.

    Raises:
        UserError: If the probability is not in [0, 1].
    """

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = check_prob('RecordedFlip', prob)

    def transform(self, results: dict) -> dict:
        """Flip."""
        if np.random.rand() < self.prob:
            results['img'] = cv2.flip(results['img'], 1)
            record = _record(results)
            record['flip'] = 1.0 - record['flip']
            record['rotation'] = -record['rotation'] % 4  # a turn, seen in a mirror
            record['axes'] = np.diag([-1.0, 1.0]) @ record['axes']
        return results


@TRANSFORMS.register_module()
class RecordedRotation(BaseTransform):
    """Turn the image by one to three quarters, for images from above that have no upside.

    Args:
        prob: Probability that it is turned at all.

    Raises:
        UserError: If the probability is not in [0, 1].
    """

    #: Directions (x, y) before -> after a quarter turn against the clock.
    _QUARTER = np.array([[0.0, 1.0], [-1.0, 0.0]])

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = check_prob('RecordedRotation', prob)

    def transform(self, results: dict) -> dict:
        """Rotate."""
        if np.random.rand() < self.prob:
            turns = int(np.random.randint(1, 4))
            img = np.ascontiguousarray(np.rot90(results['img'], turns))
            results['img'], results['img_shape'] = img, img.shape[:2]
            record = _record(results)
            record['rotation'] = (record['rotation'] + turns) % 4
            record['axes'] = np.linalg.matrix_power(self._QUARTER, turns) @ record['axes']
        return results


@TRANSFORMS.register_module()
class RecordedColorJitter(BaseTransform):
    """Change brightness, contrast, saturation and hue in random order.

    Factors are 1 + U(-1, 1) times the range, the hue is shifted by U(-1, 1) times its range of
    the circle. An image that is gray has no saturation and no hue to change (``source_is_gray``);
    both are then recorded as unchanged.

    Args:
        brightness: Range.
        contrast: Range.
        saturation: Range.
        hue: Range, at most 0.5.
        prob: Probability that anything is changed.

    Raises:
        UserError: If an option is out of its range.
    """

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.1,
        prob: float = 0.8,
    ) -> None:
        for name, value, most in (
            ('brightness', brightness, 1),
            ('contrast', contrast, 1),
            ('saturation', saturation, 1),
            ('hue', hue, 0.5),
        ):
            check_number('RecordedColorJitter', name, value, most, 'one number')
        self.ranges = np.array([brightness, contrast, saturation, hue])
        self.prob = check_prob('RecordedColorJitter', prob)

    def transform(self, results: dict) -> dict:
        """Jitter."""
        if np.random.rand() >= self.prob:
            return results
        change = np.random.uniform(-1, 1, size=4)
        change[self.ranges == 0] = 0
        order = np.random.permutation(4)
        if results.get('source_is_gray', False):
            change[2:] = 0
            order = order[order < 2]
        values = change * self.ranges + [1, 1, 1, 0]
        functions = view_ops.brightness, view_ops.contrast, view_ops.saturation, view_ops.hue
        img = results['img']
        for index in order:
            if self.ranges[index]:
                img = functions[index](img, float(values[index]))
        results['img'] = img
        _record(results)['color'] = change
        return results


@TRANSFORMS.register_module()
class RecordedGrayscale(BaseTransform):
    """Take the color out.

    Args:
        prob: Probability.

    Raises:
        UserError: If the probability is not in [0, 1].
    """

    def __init__(self, prob: float = 0.2) -> None:
        self.prob = check_prob('RecordedGrayscale', prob)

    def transform(self, results: dict) -> dict:
        """Make gray; nothing a head could predict is recorded."""
        if np.random.rand() < self.prob and not results.get('source_is_gray', False):
            results['img'] = view_ops.gray(results['img'])
        return results


@TRANSFORMS.register_module()
class RecordedBlur(BaseTransform):
    """Gaussian blur.

    Args:
        sigma: Smallest and largest sigma in px.
        prob: Probability.

    Raises:
        UserError: If an option is out of its range.
    """

    def __init__(self, sigma: tuple[float, float] = (0.1, 2.0), prob: float = 0.5) -> None:
        self.sigma = check_pair('RecordedBlur', 'sigma', sigma, 1e-3, 100)
        self.prob = check_prob('RecordedBlur', prob)

    def transform(self, results: dict) -> dict:
        """Blur."""
        if np.random.rand() < self.prob:
            sigma = np.random.uniform(*self.sigma)
            results['img'] = view_ops.blur(results['img'], sigma)
            _record(results)['blur'] = sigma / self.sigma[1]
        return results


@TRANSFORMS.register_module()
class RecordedSolarize(BaseTransform):
    """Invert what is brighter than a threshold.

    Args:
        threshold: Smallest and largest threshold, in [0, 256].
        prob: Probability.

    Raises:
        UserError: If an option is out of its range.
    """

    def __init__(self, threshold: tuple[float, float] = (128, 128), prob: float = 0.2) -> None:
        self.threshold = check_pair('RecordedSolarize', 'threshold', threshold, 0, 256)
        self.prob = check_prob('RecordedSolarize', prob)

    def transform(self, results: dict) -> dict:
        """Solarize."""
        if np.random.rand() < self.prob:
            threshold = np.random.uniform(*self.threshold)
            results['img'] = view_ops.solarize(results['img'], threshold)
            _record(results)['solarize'] = 1 - threshold / 256
        return results
