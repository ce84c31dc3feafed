# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Synthetic small targets: points, blobs, polygons and aircraft as an infrared camera blurs them.

Measured on the training images of NUAA-SIRST (270 targets) and NUDT-SIRST (918 targets), as the
contrast over the median of a ring around the target, relative to the target's peak:

======================================  ==========  ==========
..                                      NUAA-SIRST  NUDT-SIRST
======================================  ==========  ==========
level of the mask's border pixels       0.55        0.59
level of the pixels just outside        0.13        0.19
level half-way between them             0.35        0.38
share of areas up to 9 px               0.12        0.23
share of areas 10 to 20 px              0.39        0.25
share of areas 21 to 66 px              0.39        0.40
share of areas from 67 px on            0.10        0.12
area, 1st / 50th / 99th percentile, px  4 / 20 / -  5 / 21 / 98
peak, 10th / 50th / 90th percentile     35/82/158   45/66/115
aspect ratio, 50th / 90th percentile    1.33 / 2.0  1.4 / 2.8
dark targets                            none        1 of 918
======================================  ==========  ==========

Levels and aspect ratios are medians over targets where one number is given; peaks are gray
levels.
"""

from typing import Callable, Dict, Sequence, Tuple

import cv2
import numpy as np

from .target_patches import TargetPatch

#: Level of the mask's border relative to the peak: between those measured on NUAA and NUDT.
MASK_LEVEL = 0.35
#: Classes of areas in px, as evaluated on infrared targets, and how often each is drawn.
AREAS: Tuple[Tuple[int, int], ...] = ((4, 9), (10, 20), (21, 66), (67, 110))
AREA_PROBS: Tuple[float, ...] = (0.18, 0.32, 0.39, 0.11)

_OVERSAMPLING = 4  # shapes are filled on a grid this much finer
_TAIL = 0.01  # share of the peak at which a contribution counts as nothing


def draw_target(
    rng: np.random.Generator,
    area: float,
    kind: str,
    psf: float = 0.7,
    mask_level: float = MASK_LEVEL,
) -> TargetPatch:
    """Draw one target.

    Args:
        rng (np.random.Generator): Source of all randomness.
        area (float): Area of the mask in px, met to about a third; an aircraft has 17 at least.
        kind (str): One of :data:`KINDS`.
        psf (float): Standard deviation of the camera's Gaussian blur in px.
        mask_level (float): Share of the peak from which a pixel belongs to the mask.

    Returns:
        TargetPatch: The target, its contrast 0.

    Example:
        >>> import numpy as np
        >>> patch = draw_target(np.random.default_rng(0), area=20, kind='blob')
        >>> 14 <= patch.mask.sum() <= 26
        True
    """
    contribution = KINDS[kind](rng, area, psf, mask_level)
    contribution = contribution / contribution.max()
    mask = (contribution >= mask_level).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count > 2:
        mask = (labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).view(np.uint8)
        far = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
        # What belongs to another piece fades, so that no bright pixel is left out of the mask.
        contribution = np.where(
            mask > 0, contribution, np.minimum(contribution, mask_level * np.exp(-far / 2))
        )
    weight = np.minimum(contribution / mask_level, 1).astype(np.float32)
    weight[contribution < _TAIL] = 0
    residual = np.where(weight > 0, contribution / np.maximum(weight, 1e-6), 0)
    return TargetPatch(residual.astype(np.float32), weight, mask, 0.0)


def _grid(rng: np.random.Generator, reach: float, angle: float) -> Tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across a turned axis, its origin between pixels at random."""
    side = int(np.ceil(reach))
    rows, columns = np.mgrid[-side : side + 1, -side : side + 1].astype(np.float32)
    shift = rng.uniform(-0.5, 0.5, 2)
    y, x = rows - np.float32(shift[0]), columns - np.float32(shift[1])
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cosine * x + sine * y, cosine * y - sine * x


def _point(rng: np.random.Generator, area: float, psf: float, level: float) -> np.ndarray:
    """An almost round Gaussian: a source smaller than a pixel, as the optics show it."""
    return _gaussian(rng, area, level, aspect=rng.uniform(1, 1.25), power=1.0)


def _blob(rng: np.random.Generator, area: float, psf: float, level: float) -> np.ndarray:
    """An elongated Gaussian, or one with a flatter top."""
    return _gaussian(rng, area, level, aspect=rng.uniform(1, 2.4), power=rng.uniform(0.9, 1.8))


def _gaussian(
    rng: np.random.Generator, area: float, level: float, aspect: float, power: float
) -> np.ndarray:
    """``exp(-(d / s)^(2 power))``, its level line ``level`` an ellipse of the given area."""
    radius = np.sqrt(area / np.pi)
    axes = radius * np.sqrt(aspect), radius / np.sqrt(aspect)
    reach = axes[0] * (np.log(1 / _TAIL) / np.log(1 / level)) ** (0.5 / power) + 1
    along, across = _grid(rng, reach, rng.uniform(0, np.pi))
    squared = (along / axes[0]) ** 2 + (across / axes[1]) ** 2
    return level ** (squared**power)


def _render(
    rng: np.random.Generator,
    polygons: Sequence[np.ndarray],
    tones: Sequence[float],
    psf: float,
) -> np.ndarray:
    """Fill polygons ((N, 2) px, about the origin), the brighter tone winning, and blur them."""
    reach = max(np.abs(polygon).max() for polygon in polygons) + 3 * psf + 1
    side = 2 * int(np.ceil(reach)) + 1
    fine = side * _OVERSAMPLING
    canvas = np.zeros((fine, fine), np.float32)
    origin = fine / 2 + rng.uniform(-0.5, 0.5, 2) * _OVERSAMPLING
    layer = np.empty_like(canvas)
    for polygon, tone in zip(polygons, tones):
        layer[:] = 0
        points = np.rint((polygon * _OVERSAMPLING + origin) * 16).astype(np.int32)
        cv2.fillPoly(layer, [points], float(tone), cv2.LINE_8, 4)
        np.maximum(canvas, layer, out=canvas)
    pixels = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(pixels, (0, 0), psf, borderType=cv2.BORDER_CONSTANT)


def _turned(points: np.ndarray, angle: float) -> np.ndarray:
    """Points (N, 2) turned about the origin."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return points @ np.array([[cosine, sine], [-sine, cosine]])


def _polygon(rng: np.random.Generator, area: float, psf: float, level: float) -> np.ndarray:
    """An irregular polygon, often with a hotter part."""
    # The blur carries the level line outwards by about half of its width.
    radius = max(np.sqrt(area / np.pi) - 0.5 * psf, 0.6)
    aspect = rng.uniform(1, 2.2)
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(5, 10))))
    lengths = radius * rng.uniform(0.7, 1.3, len(angles))
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * lengths[:, None]
    corners *= [np.sqrt(aspect), 1 / np.sqrt(aspect)]
    size = cv2.contourArea(corners.astype(np.float32))
    corners *= radius * np.sqrt(np.pi / max(size, 0.3 * radius**2))
    corners = _turned(corners, rng.uniform(0, np.pi))
    polygons, tones = [corners], [1.0]
    if rng.random() < 0.6:
        polygons.append(corners * rng.uniform(0.4, 0.7) + rng.uniform(-0.3, 0.3, 2) * radius)
        tones = [float(rng.uniform(0.55, 0.9)), 1.0]
    return _render(rng, polygons, tones, psf)


def _aircraft(rng: np.random.Generator, area: float, psf: float, level: float) -> np.ndarray:
    """A body with wings and a tail, seen at a slant."""
    length = 1.0
    width = rng.uniform(0.14, 0.22)
    span, sweep = rng.uniform(0.5, 0.9), rng.uniform(-0.1, 0.25)
    chord = rng.uniform(0.14, 0.22)
    body = _bar(length, width)
    wings = _wing(span, chord, sweep) + [rng.uniform(-0.08, 0.08), 0]
    tail = _wing(span * rng.uniform(0.3, 0.5), chord * 0.8, sweep) + [-0.42, 0]
    squeeze = np.array([1, rng.uniform(0.45, 1)])  # the slant
    size = length * width + (span + 0.4 * span) * chord
    factor = np.sqrt(max(area / (size * squeeze[1]), 9))
    angle = rng.uniform(0, 2 * np.pi)
    parts = [_turned(part * squeeze * factor, angle) for part in (body, wings, tail)]
    tones = [1.0, float(rng.uniform(0.7, 1)), float(rng.uniform(0.65, 1))]
    return _render(rng, parts, tones, psf)


def _bar(length: float, width: float) -> np.ndarray:
    """A bar with pointed ends, along the first axis."""
    x, y = length / 2, width / 2
    return np.array([[x, 0], [0.8 * x, y], [-0.9 * x, y], [-x, 0], [-0.9 * x, -y], [0.8 * x, -y]])


def _wing(span: float, chord: float, sweep: float) -> np.ndarray:
    """Both wings, their tips swept back."""
    y, c = span / 2, chord / 2
    return np.array(
        [[c, 0], [c * 0.3 - sweep, y], [-c * 0.5 - sweep, y], [-c, 0]]
        + [[-c * 0.5 - sweep, -y], [c * 0.3 - sweep, -y]]
    )


#: Name of a shape -> function that draws its contribution (h, w).
KINDS: Dict[str, Callable[[np.random.Generator, float, float, float], np.ndarray]] = {
    'point': _point,
    'blob': _blob,
    'polygon': _polygon,
    'aircraft': _aircraft,
}
