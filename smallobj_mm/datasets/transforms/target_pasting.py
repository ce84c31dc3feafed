# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Pasting targets into infrared images: what transforms that do so share."""

from abc import abstractmethod
from typing import Optional, Sequence, Tuple

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from smallobj_mm.utils.errors import UserError

from ..target_patches import TargetPatch, add_patch

#: Largest seed, exclusive, that is drawn from NumPy's global state.
_SEEDS = 2**31
_MIN_SPREAD = 1.0  # gray levels; the least that a background counts as


class BasePasting(BaseTransform):
    """Draws the number, the places and the contrasts of targets and adds them.

    A place is refused if the target would come nearer than ``gap`` to another one or to an
    ignored pixel, or if its contrast does not fit into the range of 0 to 255 there. After
    ``attempts`` refusals the target is left out, so an image may get fewer than drawn.

    Required keys: img (uint8 or float32 of 0 to 255, (H, W) or (H, W, C)), gt_seg_map (H, W).
    Optional keys: scale_factor (width, height), as resizing transforms set it.
    Modified keys: img, gt_seg_map.
    Added keys: num_pasted (int), the number of targets added.

    Args:
        num_targets (Sequence[int]): Least and largest number of targets for an image.
        prob (float): Probability of pasting into an image that has targets.
        empty_prob (float, optional): The same for images without targets; None for ``prob``.
        gap (int): Least distance from other targets and from ignored pixels in px.
        calm_prob (float): Probability that a target goes to the calmest of four places (that of
            the least spread) instead of to any: real targets are more often seen against sky or
            water than against texture.
        opacity (Sequence[float]): Range of the share of the background's texture that a target
            hides.
        dark_prob (float): Probability that a target is darker than its background.
        min_contrast (float): Least peak above the background in gray levels.
        attempts (int): Places tried for each target.

    Raises:
        UserError: If an argument is out of its range.
    """

    def __init__(
        self,
        num_targets: Sequence[int],
        prob: float,
        empty_prob: Optional[float],
        gap: int,
        calm_prob: float,
        opacity: Sequence[float],
        dark_prob: float,
        min_contrast: float,
        attempts: int,
    ) -> None:
        name = type(self).__name__
        if len(num_targets) != 2 or not 0 <= num_targets[0] <= num_targets[1]:
            raise UserError(f'{name}: num_targets is {num_targets}, expected 0 <= least <= most')
        if len(opacity) != 2 or not 0 <= opacity[0] <= opacity[1] <= 1:
            raise UserError(f'{name}: opacity is {opacity}, expected 0 <= least <= largest <= 1')
        probabilities = dict(prob=prob, empty_prob=empty_prob, calm_prob=calm_prob)
        for option, value in dict(probabilities, dark_prob=dark_prob).items():
            if value is not None and not 0 <= value <= 1:
                raise UserError(f'{name}: {option} is {value}, expected 0 to 1')
        if gap < 0 or attempts < 1 or min_contrast <= 0:
            raise UserError(
                f'{name}: gap is {gap}, attempts {attempts} and min_contrast {min_contrast}, '
                'expected gap >= 0, attempts >= 1 and min_contrast > 0'
            )
        self.num_targets = (int(num_targets[0]), int(num_targets[1]))
        self.prob = prob
        self.empty_prob = prob if empty_prob is None else empty_prob
        self.gap = gap
        self.calm_prob = calm_prob
        self.opacity = (float(opacity[0]), float(opacity[1]))
        self.dark_prob = dark_prob
        self.min_contrast = min_contrast
        self.attempts = attempts

    @classmethod
    def positive_range(cls, option: str, value: Sequence[float]) -> Tuple[float, float]:
        """The least and the largest value of an option.

        Raises:
            UserError: They are not that, or not above 0.
        """
        if len(value) != 2 or not 0 < value[0] <= value[1]:
            raise UserError(f'{cls.__name__}: {option} is {value}, expected 0 < least <= largest')
        return float(value[0]), float(value[1])

    @cache_randomness
    def _seed(self) -> int:
        """Seed of everything that is drawn for an image."""
        return int(np.random.randint(_SEEDS))

    @abstractmethod
    def draw_patch(self, rng: np.random.Generator, enlarged: float) -> TargetPatch:
        """A target for the next place.

        Args:
            rng (np.random.Generator): Source of all randomness.
            enlarged (float): Factor by which the image was enlarged before, at least 1.
        """

    @abstractmethod
    def draw_contrast(self, rng: np.random.Generator, patch: TargetPatch, spread: float) -> float:
        """Peak of a target above its background in gray levels, positive.

        Args:
            rng (np.random.Generator): Source of all randomness.
            patch (TargetPatch): The target.
            spread (float): Standard deviation of the background there in gray levels.
        """

    def transform(self, results: dict) -> dict:
        """Paste targets into the image.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample; its image and truth are new arrays where something was pasted.

        Raises:
            UserError: If there is no gt_seg_map.
            UserError: If the image is neither uint8 nor float32.
            UserError: If the image and the truth differ in size, or the sample has maps that
                were made from the truth.
        """
        self._check(results)
        rng = np.random.default_rng(self._seed())
        empty = not (results['gt_seg_map'] == 1).any()
        results['num_pasted'] = 0
        if rng.random() >= (self.empty_prob if empty else self.prob):
            return results
        count = int(rng.integers(self.num_targets[0], self.num_targets[1] + 1))
        if count == 0:
            return results
        img, truth = results['img'].copy(), results['gt_seg_map'].copy()
        enlarged = max(1.0, min(results.get('scale_factor', (1.0, 1.0))))
        results['num_pasted'] = sum(self._paste(rng, img, truth, enlarged) for _ in range(count))
        results['img'], results['gt_seg_map'] = img, truth
        return results

    def _check(self, results: dict) -> None:
        name = type(self).__name__
        if 'gt_seg_map' not in results:
            raise UserError(f'{name}: no gt_seg_map; put LoadBinaryMask before it')
        if 'gt_interior_map' in results:
            raise UserError(
                f'{name}: the sample has a gt_interior_map, which pasted targets would not be in; '
                f'put {name} before LabelDecoupling'
            )
        img, truth = results['img'], results['gt_seg_map']
        if img.dtype not in (np.uint8, np.float32):
            raise UserError(f'{name}: img is {img.dtype}, expected uint8 or float32 of 0 to 255')
        if img.shape[:2] != truth.shape:
            raise UserError(
                f'{name}: img is {img.shape[:2]} but gt_seg_map {truth.shape}, expected equal '
                'sizes; load both before any resize'
            )

    def _paste(
        self, rng: np.random.Generator, img: np.ndarray, truth: np.ndarray, enlarged: float
    ) -> bool:
        """Add one target; whether there was a place for it."""
        patch = self.draw_patch(rng, enlarged)
        sign = -1.0 if rng.random() < self.dark_prob else 1.0
        opacity = float(rng.uniform(*self.opacity))
        candidates = 4 if rng.random() < self.calm_prob else 1
        best: Optional[Tuple[float, int, int, float]] = None
        for _ in range(self.attempts):
            corner = self._draw_place(rng, patch, truth)
            if corner is None:
                continue
            level, spread = self._measure(img, patch, corner)
            contrast = max(self.draw_contrast(rng, patch, spread), self.min_contrast)
            room = 255 - level if sign > 0 else level
            if contrast > 1.2 * room:  # the brightest pixels may saturate, as real ones do
                if room < max(self.min_contrast, 2 * spread):
                    continue
                contrast = room
            if best is None or spread < best[0]:
                best = (spread, *corner, sign * contrast)
            candidates -= 1
            if candidates == 0:
                break
        if best is None:
            return False
        add_patch(img, truth, patch, best[1], best[2], best[3], opacity)
        return True

    def _draw_place(
        self, rng: np.random.Generator, patch: TargetPatch, truth: np.ndarray
    ) -> Optional[Tuple[int, int]]:
        """Row and column of the patch in the image, its mask inside and clear of others."""
        rows = np.flatnonzero(patch.mask.any(axis=1))
        columns = np.flatnonzero(patch.mask.any(axis=0))
        height, width = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
        if height > truth.shape[0] or width > truth.shape[1]:
            return None
        y = int(rng.integers(0, truth.shape[0] - height + 1))
        x = int(rng.integers(0, truth.shape[1] - width + 1))
        gap = self.gap
        around = truth[max(y - gap, 0) : y + height + gap, max(x - gap, 0) : x + width + gap]
        if around.any():
            return None
        return y - int(rows[0]), x - int(columns[0])

    @staticmethod
    def _measure(
        img: np.ndarray, patch: TargetPatch, corner: Tuple[int, int]
    ) -> Tuple[float, float]:
        """Level and spread of the background around a place, in gray levels."""
        top, left = corner
        height, width = patch.mask.shape
        window = img[max(top - 2, 0) : top + height + 2, max(left - 2, 0) : left + width + 2]
        return float(window.mean()), max(float(window.std()), _MIN_SPREAD)
