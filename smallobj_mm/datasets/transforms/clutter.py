# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Bright things that are no targets, so that a network learns to leave them out."""

from typing import Callable, Dict, Optional, Sequence, Tuple

import cv2
import numpy as np

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from .degradation import BaseDegradation, check_range

#: What may be drawn.
CLUTTER = ('hot_pixel', 'line', 'edge', 'structure')


@TRANSFORMS.register_module()
class RandomClutter(BaseDegradation):
    """Draw hot and dead pixels, lines, edges and bright structures that are not targets.

    - 'hot_pixel': single pixels, sometimes two side by side, without the halo that optics give
      every real source; put these behind RandomDefocus, which would give them one;
    - 'line': thin bright lines of 25 px or more, such as wires, coasts and streaks;
    - 'edge': a half of the image brighter than the other, as roofs and horizons are;
    - 'structure': polygons of 150 px or more, some with brighter rims, such as buildings.

    The truth is not changed. Whatever would come nearer than ``gap`` to a target is left out,
    except for edges, which change the level of a target without changing its contrast.
    Structures stand before the transforms that paste targets, so that those may lie on top.

    Required keys: img. Optional keys: gt_seg_map (H, W), gt_bboxes (mmdet's boxes), which are
    targets to stay clear of. Modified keys: img. See :class:`BaseDegradation`.

    Args:
        kinds (Sequence[str]): What is drawn, of the above; of each kind the number is drawn anew.
            Defaults to all.
        max_hot_pixels (int): Most hot or dead pixels. Defaults to 6.
        max_structures (int): Most lines, edges and structures, of each kind. Defaults to 2.
        contrast (Sequence[float]): Range of the contrast in gray levels, drawn log-uniformly.
            Defaults to (15, 120).
        dark_prob (float): Probability of a dark one. Defaults to 0.3.
        gap (int): Least distance from targets in px. Defaults to 4.
        prob (float): Probability of a change. Defaults to 0.3.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> img = np.full((64, 64), 100, np.uint8)
        >>> hot = RandomClutter(kinds=('hot_pixel',), prob=1)(dict(img=img))['img'] != 100
        >>> 1 <= hot.sum() <= 12
        True
    """

    def __init__(
        self,
        kinds: Sequence[str] = CLUTTER,
        max_hot_pixels: int = 6,
        max_structures: int = 2,
        contrast: Sequence[float] = (15.0, 120.0),
        dark_prob: float = 0.3,
        gap: int = 4,
        prob: float = 0.3,
    ) -> None:
        super().__init__(prob)
        name = type(self).__name__
        if not kinds or not set(kinds) <= set(CLUTTER):
            raise UserError(f'{name}: kinds is {kinds}, expected some of {CLUTTER}')
        if min(max_hot_pixels, max_structures) < 1 or gap < 0 or not 0 <= dark_prob <= 1:
            raise UserError(
                f'{name}: max_hot_pixels is {max_hot_pixels}, max_structures {max_structures}, '
                f'gap {gap} and dark_prob {dark_prob}, expected 1 or more, 1 or more, 0 or more '
                'and 0 to 1'
            )
        self.kinds = tuple(kinds)
        self.max_hot_pixels = max_hot_pixels
        self.max_structures = max_structures
        self.contrast = check_range(name, 'contrast', contrast, 1e-3)
        self.dark_prob = dark_prob
        self.gap = gap

    def transform(self, results: dict) -> dict:
        """Draw clutter into the image.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample with its new image.

        Raises:
            UserError: If the image is neither uint8 nor float32.
        """
        boxes = results.get('gt_bboxes')
        if boxes is None or 'gt_seg_map' in results:
            return super().transform(results)
        taken = np.zeros(results['img'].shape[:2], np.uint8)
        corners = np.asarray(getattr(boxes, 'tensor', boxes), dtype=np.float32).reshape(-1, 4)
        for x1, y1, x2, y2 in corners:
            rows = slice(max(int(y1), 0), max(int(np.ceil(y2)), 0))
            taken[rows, max(int(x1), 0) : max(int(np.ceil(x2)), 0)] = 1
        changed = super().transform(dict(img=results['img'], gt_seg_map=taken))
        results['img'] = changed['img']
        return results

    def degrade(
        self, rng: np.random.Generator, img: np.ndarray, truth: Optional[np.ndarray]
    ) -> np.ndarray:
        """The image with clutter, the same in all channels."""
        shape = img.shape[:2]
        taken = np.zeros(shape, np.uint8)
        if truth is not None and truth.any():
            side = 2 * self.gap + 1
            taken = cv2.dilate((truth != 0).view(np.uint8), np.ones((side, side), np.uint8))
        for kind in self.kinds:
            if kind == 'hot_pixel':
                self._hot_pixels(rng, img, taken)
                continue
            for _ in range(int(rng.integers(0, self.max_structures + 1))):
                layer = _LAYERS[kind](rng, shape)
                if kind != 'edge' and (layer[taken > 0] > 0.02).any():
                    continue
                tone = self._tone(rng)
                if kind == 'edge' and taken.any():  # saturation would hide targets
                    tone = np.clip(tone, -img.min(), 255 - img.max())
                img += (tone * layer)[..., None]
        return img

    def _tone(self, rng: np.random.Generator) -> np.float32:
        """A contrast in gray levels, negative for a dark one."""
        tone = np.exp(rng.uniform(*np.log(self.contrast)))
        return np.float32(-tone if rng.random() < self.dark_prob else tone)

    def _hot_pixels(self, rng: np.random.Generator, img: np.ndarray, taken: np.ndarray) -> None:
        """Single pixels, one in four of them a pair."""
        height, width = taken.shape
        for _ in range(int(rng.integers(1, self.max_hot_pixels + 1))):
            row, column = int(rng.integers(height)), int(rng.integers(width))
            end = column + (2 if rng.random() < 0.25 else 1)
            tone = self._tone(rng)
            if not taken[row, column:end].any():
                img[row, column:end] += tone


def _line(rng: np.random.Generator, shape: Tuple[int, int]) -> np.ndarray:
    """A line, sometimes bent, of 25 px or more."""
    layer = np.zeros(shape, np.float32)
    height, width = shape
    start = rng.uniform(0, 1, 2) * [width, height]
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(25, max(30.0, 0.9 * max(shape)))
    end = start + length * np.array([np.cos(angle), np.sin(angle)])
    middle = (start + end) / 2 + rng.normal(0, 0.05 * length, 2)
    points = np.rint(np.stack([start, middle, end]) * 16).astype(np.int32)
    thickness = int(rng.integers(1, 4))
    cv2.polylines(layer, [points], False, 1.0, thickness, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(layer, (0, 0), float(rng.uniform(0.5, 1.2)))


def _edge(rng: np.random.Generator, shape: Tuple[int, int]) -> np.ndarray:
    """A step from 0 to 1 across the image, sharp or soft."""
    angle = rng.uniform(0, 2 * np.pi)
    rows = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(rng.uniform(0, shape[0]))
    columns = np.arange(shape[1], dtype=np.float32)[None] - np.float32(rng.uniform(0, shape[1]))
    distance = np.float32(np.cos(angle)) * rows + np.float32(np.sin(angle)) * columns
    return np.clip(distance / np.float32(rng.uniform(1, 8)) + 0.5, 0, 1)


def _structure(rng: np.random.Generator, shape: Tuple[int, int]) -> np.ndarray:
    """A polygon of 150 px or more, half of the time with a brighter rim."""
    layer = np.zeros(shape, np.float32)
    radius = rng.uniform(12, max(16.0, 0.2 * max(shape)))
    center = rng.uniform(0, 1, 2) * [shape[1], shape[0]]
    angles = np.sort(rng.uniform(0, 2 * np.pi / 4, 4) + np.arange(4) * np.pi / 2)
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius
    corners = corners * [1, rng.uniform(0.5, 1)] + center
    points = np.rint(corners * 16).astype(np.int32)
    cv2.fillPoly(layer, [points], float(rng.uniform(0.4, 1)), cv2.LINE_AA, 4)
    if rng.random() < 0.5:
        cv2.polylines(layer, [points], True, 1.0, int(rng.integers(1, 4)), cv2.LINE_AA, 4)
    return cv2.GaussianBlur(layer, (0, 0), float(rng.uniform(0.5, 1.5)))


#: Kind -> function that draws a layer (H, W) of 0 to 1.
_LAYERS: Dict[str, Callable[[np.random.Generator, Tuple[int, int]], np.ndarray]] = {
    'line': _line,
    'edge': _edge,
    'structure': _structure,
}
