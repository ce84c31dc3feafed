# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Random scales for images with small targets."""

from typing import Sequence, Tuple, Union

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from ..target_scaling import resize_image, resize_target_mask
from .crops import TargetAwareCrop
from .degradation import check_range

_MAPS = ('gt_interior_map', 'gt_boundary_map')


def _resize(owner: str, results: dict, height: int, width: int, smooth: bool) -> dict:
    """Scale the image, the maps in seg_fields and the boxes; the sample is changed in place."""
    stale = [name for name in _MAPS if name in results]
    if stale:
        raise UserError(
            f'{owner}: the sample has a {stale[0]}, which would not be that of the scaled truth; '
            f'put {owner} before LabelDecoupling'
        )
    old_height, old_width = results['img'].shape[:2]
    results['img'] = resize_image(results['img'], (height, width), smooth)
    for name in results.get('seg_fields', []):
        if results.get(name) is not None:
            results[name] = resize_target_mask(results[name], (height, width))
    factors = (width / old_width, height / old_height)
    if results.get('gt_bboxes') is not None:
        results['gt_bboxes'].rescale_(factors)
    before = results.get('scale_factor', (1.0, 1.0))
    results['scale_factor'] = (before[0] * factors[0], before[1] * factors[1])
    results['img_shape'] = results['img'].shape[:2]
    return results


def _random_factor(scale: Sequence[float], prob: float) -> Tuple[float, bool]:
    """A factor, 1 but for the given probability, and whether to interpolate by cubic curves."""
    change, position, smooth = np.random.rand(3)
    low, high = np.log(scale)
    factor = float(np.exp(low + (high - low) * position)) if change < prob else 1.0
    return factor, bool(smooth < 0.5)


@TRANSFORMS.register_module()
class RandomTargetScale(BaseTransform):
    """Scale the image, the truth and the boxes by a random factor; no target vanishes.

    Unlike a resize with nearest-neighbor sampling of the mask: see
    :func:`smallobj_mm.datasets.target_scaling.resize_target_mask`.

    Required keys: img. Optional keys: the maps named in seg_fields, gt_bboxes (mmdet's boxes).
    Modified keys: these, img_shape, scale_factor (width, height).

    Args:
        scale (Sequence[float]): Range of the factor, drawn log-uniformly. Defaults to (0.5, 2).
        prob (float): Probability of a change. Defaults to 1.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> truth = np.zeros((40, 40), np.uint8)
        >>> truth[20, 20] = 1
        >>> sample = dict(img=truth * 200, gt_seg_map=truth, seg_fields=['gt_seg_map'])
        >>> half = RandomTargetScale(scale=(0.5, 0.5))(sample)
        >>> half['img_shape'], int(half['gt_seg_map'].sum())
        ((20, 20), 1)
    """

    def __init__(self, scale: Sequence[float] = (0.5, 2.0), prob: float = 1.0) -> None:
        self.scale = check_range(type(self).__name__, 'scale', scale, 1e-3)
        if not 0 <= prob <= 1:
            raise UserError(f'RandomTargetScale: prob is {prob}, expected 0 to 1')
        self.prob = prob

    @cache_randomness
    def _draw(self) -> Tuple[float, bool]:
        """See :func:`_random_factor`."""
        return _random_factor(self.scale, self.prob)

    def transform(self, results: dict) -> dict:
        """Scale the sample.

        Args:
            results (dict): The sample.

        Returns:
            dict: The scaled sample.

        Raises:
            UserError: If the sample has maps that were made from the truth.
        """
        factor, smooth = self._draw()
        if factor == 1:
            return results
        height, width = (max(round(side * factor), 1) for side in results['img'].shape[:2])
        return _resize(type(self).__name__, results, height, width, smooth)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale}, prob={self.prob})'


@TRANSFORMS.register_module()
class ScaledTargetCrop(TargetAwareCrop):
    """A crop of fixed size at a random scale, often around a target.

    The same as RandomTargetScale followed by TargetAwareCrop, but only the cropped part is scaled,
    which takes a fraction of the time for large images. Where the image is smaller than the part
    to be cut, it is mirrored beyond its border.

    Required keys: img, gt_seg_map named in seg_fields.
    Modified keys: img, the maps in seg_fields, img_shape, scale_factor (width, height).

    Args:
        size (int | Sequence[int]): Height and width of the crop in px, one number for both.
        scale (Sequence[float]): Range of the factor, drawn log-uniformly. Defaults to (0.5, 2).
        scale_prob (float): Probability of a factor other than 1. Defaults to 0.7.
        prob (float): Probability of a crop around a target. Defaults to 0.75.
        jitter (float): See :class:`TargetAwareCrop`. Defaults to 0.4.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> truth = np.zeros((60, 80), np.uint8)
        >>> sample = dict(img=truth, gt_seg_map=truth, seg_fields=['gt_seg_map'])
        >>> ScaledTargetCrop(size=32)(sample)['img'].shape
        (32, 32)
    """

    def __init__(
        self,
        size: Union[int, Sequence[int]],
        scale: Sequence[float] = (0.5, 2.0),
        scale_prob: float = 0.7,
        prob: float = 0.75,
        jitter: float = 0.4,
    ) -> None:
        super().__init__(size, prob, jitter)
        self.scale = check_range(type(self).__name__, 'scale', scale, 1e-3)
        if not 0 <= scale_prob <= 1:
            raise UserError(f'ScaledTargetCrop: scale_prob is {scale_prob}, expected 0 to 1')
        self.scale_prob = scale_prob

    @cache_randomness
    def _draw_factor(self) -> Tuple[float, bool]:
        """See :func:`_random_factor`."""
        return _random_factor(self.scale, self.scale_prob)

    def transform(self, results: dict) -> dict:
        """Crop and scale the sample.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample, of the size of the crop.

        Raises:
            UserError: If the sample has maps that were made from the truth.
        """
        factor, smooth = self._draw_factor()
        results = self._crop(results, [max(round(side / factor), 1) for side in self.size])
        return _resize(type(self).__name__, results, *self.size, smooth)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(size={self.size}, scale={self.scale}, '
            f'scale_prob={self.scale_prob}, prob={self.prob}, jitter={self.jitter})'
        )
