# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Synthetic infrared images: dim small targets on clouds, sea or ground, with masks."""

from typing import List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

BACKGROUNDS = ('cloud', 'sea', 'ground')

_EMPTY_FRACTION = 0.08  # images without any target
_GAP = 3  # px of background between two targets
_BORDER = 2  # px between a target and the image's border


class IRScene(NamedTuple):
    """One synthetic image.

    Attributes:
        image (np.ndarray): Gray, uint8, shape (H, W).
        mask (np.ndarray): 255 on targets, 0 elsewhere, uint8, shape (H, W).
        background (str): One of :data:`BACKGROUNDS`.
    """

    image: np.ndarray
    mask: np.ndarray
    background: str


def render_ir_scene(
    rng: np.random.Generator,
    image_size: int,
    target_size: Tuple[float, float] = (2.0, 10.0),
    max_targets: int = 4,
) -> IRScene:
    """Draw one image.

    Targets are Gaussian blobs, brighter than what surrounds them by 4 to 10 times the noise and
    the texture there together, but by no less than 25 gray levels. The mask is where a blob is
    above a third of its peak. Edges and streaks that are as bright as targets, but longer, are
    there to be told apart from them.

    Args:
        rng (np.random.Generator): Source of all randomness.
        image_size (int): Side S of the square image in px.
        target_size (tuple[float, float]): Least and largest target in px, the longer side of
            its mask; sizes are drawn log-uniformly, so that small ones prevail.
        max_targets (int): Most targets an image has; one image in twelve has none.

    Returns:
        IRScene: Image, mask and kind of background.
    """
    background = str(rng.choice(BACKGROUNDS))
    canvas = _BACKGROUND[background](rng, image_size)
    noise = float(rng.uniform(1.0, 3.5))
    count = 0 if rng.random() < _EMPTY_FRACTION else int(rng.integers(1, max_targets + 1))
    mask = np.zeros((image_size, image_size), dtype=np.uint8)
    boxes: List[np.ndarray] = []
    for _ in range(count):
        sides = np.exp(rng.uniform(*np.log(target_size))) * np.array([1, rng.uniform(0.6, 1)])
        center = _place(rng, sides.max(), boxes, image_size)
        if center is not None:
            boxes.append(np.concatenate([center - sides.max() / 2, center + sides.max() / 2]))
            _add_target(rng, canvas, mask, center, sides, noise)
    canvas += rng.normal(0, noise, canvas.shape).astype(np.float32)
    canvas += rng.normal(0, 0.3 * noise, (1, image_size)).astype(np.float32)  # column pattern
    return IRScene(np.clip(np.rint(canvas), 0, 255).astype(np.uint8), mask, background)


def _correlated(
    rng: np.random.Generator, size: int, slope: float, stretch: float = 1.0
) -> np.ndarray:
    """Noise (S, S) of unit variance whose amplitude falls with frequency to the given power.

    ``stretch`` above 1 makes its grain longer along the rows.
    """
    rows = np.fft.fftfreq(size)[:, None]
    columns = np.fft.rfftfreq(size)[None] * stretch
    # The lowest frequencies are held down, or they would be all one sees.
    amplitude = (rows**2 + columns**2 + (2.0 / size) ** 2) ** (-slope / 2)
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) * amplitude
    field = np.fft.irfft2(spectrum, s=(size, size))
    return ((field - field.mean()) / field.std()).astype(np.float32)


def _ramp(rng: np.random.Generator, size: int, strength: float) -> np.ndarray:
    """A linear gradient (S, S) of random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    axis = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    return strength * (np.cos(angle) * axis[None] + np.sin(angle) * axis[:, None])


def _cloud(rng: np.random.Generator, size: int) -> np.ndarray:
    """Sky with clouds, whose borders are sharper than their inside."""
    shape = _correlated(rng, size, rng.uniform(1.7, 2.2))
    cover = 1 / (1 + np.exp(-rng.uniform(2, 7) * (shape - rng.uniform(-0.6, 0.8))))
    inside = 1 + 0.18 * _correlated(rng, size, 1.6)
    sky = rng.uniform(25, 70) + _ramp(rng, size, rng.uniform(0, 40))
    return (sky + rng.uniform(30, 95) * cover * inside).astype(np.float32)


def _sea(rng: np.random.Generator, size: int) -> np.ndarray:
    """Water with waves along the rows, often below a horizon, with a few glints."""
    waves = _correlated(rng, size, rng.uniform(0.9, 1.4), stretch=rng.uniform(3, 7))
    canvas = rng.uniform(50, 100) + rng.uniform(4, 11) * waves
    canvas = canvas + _ramp(rng, size, rng.uniform(0, 30))
    if rng.random() < 0.6:
        horizon = rng.uniform(0.12, 0.5) * size
        rows = np.arange(size, dtype=np.float32)[:, None]
        slope = rng.uniform(-0.04, 0.04) * np.arange(size, dtype=np.float32)[None]
        sky = 1 / (1 + np.exp(np.clip((rows + slope - horizon) / 1.2, -30, 30)))
        air = rng.uniform(20, 150) + 8 * _correlated(rng, size, 2.2)
        canvas = canvas + (air - canvas) * sky
    canvas = canvas.astype(np.float32)
    _draw_streaks(rng, canvas, int(rng.integers(0, 7)), horizontal=True)
    return canvas


def _ground(rng: np.random.Generator, size: int) -> np.ndarray:
    """Fields and buildings with hot edges, roads and rough texture."""
    canvas = (rng.uniform(50, 95) + rng.uniform(8, 16) * _correlated(rng, size, 1.5)).astype(
        np.float32
    )
    for _ in range(int(rng.integers(3, 9))):
        center, sides = rng.uniform(0, size, 2), rng.uniform(0.06, 0.3, 2) * size
        box = cv2.boxPoints((tuple(center), tuple(sides), rng.uniform(0, 180))).astype(np.int32)
        layer = canvas.copy()
        cv2.fillConvexPoly(layer, box, float(rng.uniform(30, 140)), cv2.LINE_AA)
        if rng.random() < 0.5:
            cv2.polylines(layer, [box], True, float(rng.uniform(120, 200)), 1, cv2.LINE_AA)
        canvas += (layer - canvas) * np.float32(rng.uniform(0.2, 0.55))
    _draw_streaks(rng, canvas, int(rng.integers(1, 6)), horizontal=False)
    return cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.6, 1.0)))


_BACKGROUND = {'cloud': _cloud, 'sea': _sea, 'ground': _ground}


def _draw_streaks(
    rng: np.random.Generator, canvas: np.ndarray, count: int, horizontal: bool
) -> None:
    """Thin bright lines, longer than any target: distractors."""
    size = canvas.shape[0]
    for _ in range(count):
        start = rng.uniform(0, size, 2)
        angle = rng.normal(0, 0.05) if horizontal else rng.uniform(0, 2 * np.pi)
        length = rng.uniform(14, 40) if horizontal else rng.uniform(20, 0.8 * size)
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        layer = np.zeros_like(canvas)
        first, last = ([int(v) for v in point] for point in (start, end))
        tone, width = float(rng.uniform(25, 70)), int(rng.integers(1, 3))
        cv2.line(layer, first, last, tone, width, cv2.LINE_AA)
        canvas += cv2.GaussianBlur(layer, (0, 0), 0.8)


def _place(
    rng: np.random.Generator, side: float, boxes: Sequence[np.ndarray], size: int
) -> Optional[np.ndarray]:
    """A center (x, y) inside the image and clear of the other targets, or None."""
    taken = np.array(boxes).reshape(-1, 4)
    margin = side / 2 + _BORDER
    for center in rng.uniform(margin, size - margin, (30, 2)):
        low, high = center - side / 2 - _GAP, center + side / 2 + _GAP
        if ((taken[:, 2:] < low).any(axis=1) | (taken[:, :2] > high).any(axis=1)).all():
            return center
    return None


def _add_target(
    rng: np.random.Generator,
    canvas: np.ndarray,
    mask: np.ndarray,
    center: np.ndarray,
    sides: np.ndarray,
    noise: float,
) -> None:
    """Add a blob that has fallen to a third of its peak at the border of its mask."""
    reach = int(np.ceil(sides.max())) + 1
    low = np.maximum(np.floor(center).astype(int) - reach, 0)
    high = np.minimum(np.floor(center).astype(int) + reach + 1, canvas.shape[0])
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    y, x = np.mgrid[window].astype(np.float32) + np.float32(0.5)
    angle = rng.uniform(0, np.pi)
    x, y = x - center[0], y - center[1]
    along = np.cos(angle) * x + np.sin(angle) * y
    across = np.cos(angle) * y - np.sin(angle) * x
    distance = (2 * along / sides[0]) ** 2 + (2 * across / sides[1]) ** 2
    blob = np.exp(-np.log(3) * distance)
    texture = float(np.hypot(canvas[window].std(), noise))
    peak = float(np.clip(rng.uniform(4, 10) * texture, 25, 150))
    canvas[window] += (peak * blob).astype(np.float32)
    inside = distance <= 1
    inside |= distance == distance.min()  # at least one pixel
    mask[window][inside] = 255
