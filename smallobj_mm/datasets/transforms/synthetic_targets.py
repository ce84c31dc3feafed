# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Synthetic small targets, blended into any background."""

from typing import Optional, Sequence

import numpy as np

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from ..target_patches import TargetPatch
from ..target_shapes import AREA_PROBS, AREAS, KINDS, MASK_LEVEL, draw_target
from .target_pasting import BasePasting

#: Largest area in px of which targets are drawn as points, and smallest of extended shapes.
_POINT_AREA = 9
_AIRCRAFT_AREA = 21
#: Least peak over the spread of the background times the square root of the area in px.
_DETECTABLE = 9.0


@TRANSFORMS.register_module()
class SyntheticTargets(BasePasting):
    """Blend points, blobs, polygons and aircraft into gray images of any kind.

    Up to 9 px of area a target is a point, from 21 px on it may have any shape. Its mask is where
    its contribution is at least ``mask_level`` of its peak; this level, the areas and the
    contrasts are those measured on real masks, see :mod:`smallobj_mm.datasets.target_shapes`.

    Stands after crops and before LabelDecoupling. No data set is needed. Where the image was
    enlarged before (scale_factor), the targets are blurred as much.

    Required keys: img (uint8 or float32 of 0 to 255, (H, W) or (H, W, C)), gt_seg_map (H, W):
    0 background, 1 target, 255 ignored.
    Optional keys: scale_factor (width, height).
    Modified keys: img, gt_seg_map.
    Added keys: num_pasted.

    Args:
        num_targets (Sequence[int]): Least and largest number for an image. Defaults to (1, 3).
        prob (float): Probability of pasting into an image with targets. Defaults to 0.5.
        empty_prob (float, optional): The same for images without; None for ``prob``.
        kinds (Sequence[str]): Shapes, of 'point', 'blob', 'polygon', 'aircraft'.
        areas (Sequence[Sequence[int]]): Ranges of the area of the mask in px, each drawn
            log-uniformly. Defaults to 4-9, 10-20, 21-66, 67-110.
        area_probs (Sequence[float]): Probability of each range. Defaults to (0.18, 0.32, 0.39,
            0.11), between NUAA and NUDT.
        dim_prob (float): Probability of a dim target. Defaults to 0.35.
        dim_snr (Sequence[float]): Range of the peak of dim targets over the spread of the
            background, drawn uniformly, but no less than 9 / sqrt(area in px): a point of 5 px at
            twice the spread cannot be told from noise, a target of 20 px can. Defaults to (2, 6).
        contrast (Sequence[float]): Range of the peak of the others in gray levels, drawn
            log-uniformly; no less than the upper end of ``dim_snr`` asks for. Defaults to
            (25, 170).
        psf (Sequence[float]): Range of the standard deviation of the optics' blur in px.
            Defaults to (0.5, 0.9).
        mask_level (float): Share of the peak at the border of the mask. Defaults to 0.35.
        gap (int): See :class:`BasePasting`, as all that follow. Defaults to 4.
        calm_prob (float): Defaults to 0.4.
        opacity (Sequence[float]): Defaults to (0, 0.8).
        dark_prob (float): Defaults to 0.
        min_contrast (float): Defaults to 12 gray levels.
        attempts (int): Defaults to 12.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> np.random.seed(0)
        >>> paste = SyntheticTargets(num_targets=(2, 2), prob=1)
        >>> img = np.full((64, 64), 90, np.uint8)
        >>> results = paste(dict(img=img, gt_seg_map=np.zeros((64, 64), np.uint8)))
        >>> results['num_pasted'], bool(results['img'][results['gt_seg_map'] == 1].min() > 90)
        (2, True)
    """

    def __init__(
        self,
        num_targets: Sequence[int] = (1, 3),
        prob: float = 0.5,
        empty_prob: Optional[float] = None,
        kinds: Sequence[str] = tuple(KINDS),
        areas: Sequence[Sequence[int]] = AREAS,
        area_probs: Sequence[float] = AREA_PROBS,
        dim_prob: float = 0.35,
        dim_snr: Sequence[float] = (2.0, 6.0),
        contrast: Sequence[float] = (25.0, 170.0),
        psf: Sequence[float] = (0.5, 0.9),
        mask_level: float = MASK_LEVEL,
        gap: int = 4,
        calm_prob: float = 0.4,
        opacity: Sequence[float] = (0.0, 0.8),
        dark_prob: float = 0.0,
        min_contrast: float = 12.0,
        attempts: int = 12,
    ) -> None:
        super().__init__(
            num_targets=num_targets,
            prob=prob,
            empty_prob=empty_prob,
            gap=gap,
            calm_prob=calm_prob,
            opacity=opacity,
            dark_prob=dark_prob,
            min_contrast=min_contrast,
            attempts=attempts,
        )
        if not kinds or not set(kinds) <= set(KINDS):
            raise UserError(f'SyntheticTargets: kinds is {kinds}, expected some of {tuple(KINDS)}')
        self.dim_snr = self.positive_range('dim_snr', dim_snr)
        self.contrast = self.positive_range('contrast', contrast)
        self.psf = self.positive_range('psf', psf)
        if len(areas) != len(area_probs) or any(
            len(pair) != 2 or not 1 <= pair[0] <= pair[1] for pair in areas
        ):
            raise UserError(
                f'SyntheticTargets: areas is {areas} and area_probs {area_probs}, expected as '
                'many pairs 1 <= least <= largest as probabilities'
            )
        if min(area_probs) < 0 or not sum(area_probs) > 0:
            raise UserError(
                f'SyntheticTargets: area_probs is {area_probs}, expected none below 0 and a sum '
                'above 0'
            )
        if not 0 < mask_level < 1 or not 0 <= dim_prob <= 1:
            raise UserError(
                f'SyntheticTargets: mask_level is {mask_level} and dim_prob {dim_prob}, expected '
                'between 0 and 1'
            )
        self.kinds = tuple(kinds)
        self.areas = tuple((int(pair[0]), int(pair[1])) for pair in areas)
        self.area_probs = np.array(area_probs, float) / sum(area_probs)
        self.dim_prob = dim_prob
        self.mask_level = mask_level

    def draw_patch(self, rng: np.random.Generator, enlarged: float) -> TargetPatch:
        """A target of a drawn area and shape."""
        low, high = self.areas[int(rng.choice(len(self.areas), p=self.area_probs))]
        area = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        area = max(area, min(area * enlarged**2, high))  # within its class
        kinds = [kind for kind in self.kinds if self._fits(kind, area)] or list(self.kinds)
        kind = kinds[int(rng.integers(len(kinds)))]
        return draw_target(
            rng, area, kind, float(rng.uniform(*self.psf)) * enlarged, self.mask_level
        )

    @staticmethod
    def _fits(kind: str, area: float) -> bool:
        """Whether a shape can be told at an area in px."""
        if kind == 'point':
            return area <= 2 * _POINT_AREA
        return area > (_AIRCRAFT_AREA if kind == 'aircraft' else _POINT_AREA)

    def draw_contrast(self, rng: np.random.Generator, patch: TargetPatch, spread: float) -> float:
        """Of a dim target by the background, of a bright one in gray levels."""
        if rng.random() < self.dim_prob:
            least = _DETECTABLE / np.sqrt(patch.mask.sum())
            return max(float(rng.uniform(*self.dim_snr)), float(least)) * spread
        return max(
            float(np.exp(rng.uniform(*np.log(self.contrast)))), float(self.dim_snr[1]) * spread
        )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_targets={self.num_targets}, prob={self.prob}, '
            f'empty_prob={self.empty_prob}, kinds={self.kinds}, areas={self.areas}, '
            f'dim_prob={self.dim_prob}, dim_snr={self.dim_snr}, contrast={self.contrast})'
        )
