# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Synthetic images of small targets on clutter, with masks and boxes."""

from typing import List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

#: Style -> names of the classes.
STYLES = {'shapes': ('disk', 'square', 'triangle'), 'infrared': ('target',)}

#: Style -> shortest and longest object, the longer side of its box in px.
OBJECT_SIZES = {'shapes': (6.0, 40.0), 'infrared': (4.0, 14.0)}

# Color of each shape before its jitter, in BGR: the smallest shapes have too few pixels to be
# told apart by their outline alone.
_SHAPE_COLORS = np.array([[50, 70, 215], [205, 120, 40], [60, 200, 190]], dtype=np.float32)
_GAP = 2.0  # px between two objects
_EMPTY_FRACTION = 0.05  # images without any object


class Scene(NamedTuple):
    """One synthetic image.

    Attributes:
        image (np.ndarray): BGR, uint8, shape (S, S, 3).
        mask (np.ndarray): 255 on targets, 0 elsewhere, uint8, shape (S, S).
        boxes (np.ndarray): x1, y1, x2, y2 in px, float, shape (N, 4).
        labels (np.ndarray): Index of the class, int, shape (N,).
    """

    image: np.ndarray
    mask: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray


def render_scene(
    rng: np.random.Generator,
    image_size: int,
    style: str,
    object_size: Tuple[float, float],
    max_objects: int,
) -> Scene:
    """Draw one image.

    Args:
        rng (np.random.Generator): Source of all randomness.
        image_size (int): Side S of the square image in px.
        style (str): 'shapes' (colored disks, squares, triangles) or 'infrared' (gray, bright
            blobs), see :data:`STYLES`.
        object_size (tuple[float, float]): Shortest and longest object in px; sizes between are
            drawn log-uniformly, so that small ones prevail.
        max_objects (int): Most objects an image has; one image in twenty has none.

    Returns:
        Scene: Image, mask, boxes and labels.
    """
    color = style == 'shapes'
    canvas = _clutter(rng, image_size, color)
    mask = np.zeros((image_size, image_size), dtype=np.uint8)
    count = 0 if rng.random() < _EMPTY_FRACTION else int(rng.integers(1, max_objects + 1))
    boxes: List[np.ndarray] = []
    labels: List[int] = []
    for _ in range(count):
        label = int(rng.integers(len(STYLES[style])))
        size = float(np.exp(rng.uniform(*np.log(object_size))))
        outline, extent = _outline(rng, style, label, size)
        center = _place(rng, extent, np.array(boxes).reshape(-1, 4), image_size)
        if center is None:
            continue
        boxes.append(np.concatenate([center - extent / 2, center + extent / 2]))
        labels.append(label)
        if color:
            _paint_shape(rng, canvas, mask, center, outline, label, size)
        else:
            _paint_blob(rng, canvas, mask, center, extent)
    canvas += rng.normal(0, 4.0, canvas.shape[:2] + ((3,) if color else (1,))).astype(np.float32)
    image = np.clip(canvas, 0, 255).astype(np.uint8)
    return Scene(image, mask, np.array(boxes).reshape(-1, 4), np.array(labels, dtype=np.int64))


def _clutter(rng: np.random.Generator, size: int, color: bool) -> np.ndarray:
    """Textured background with streaks and soft blobs, float32 of shape (S, S, 3)."""
    channels = 3 if color else 1
    canvas: np.ndarray = np.zeros((size, size, channels), dtype=np.float32)
    for cells, amplitude in ((3, 30.0), (7, 20.0), (17, 13.0), (41, 8.0), (97, 6.0)):
        gray = rng.normal(0, 1, (cells, cells, 1))
        tint = rng.normal(0, 0.35, (cells, cells, channels)) if color else 0.0
        grid = ((gray + tint) * amplitude).astype(np.float32)
        layer: np.ndarray = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
        canvas += layer.reshape(size, size, channels)
    canvas = np.ascontiguousarray(canvas.repeat(3 // channels, axis=2))
    canvas += rng.uniform(80, 130) if color else rng.uniform(50, 90)
    overlay: np.ndarray = canvas.copy()
    for _ in range(int(rng.integers(4, 12))):
        start, end = ([int(v) for v in rng.integers(0, size, 2)] for _ in range(2))
        tone = rng.uniform(40, 190, 3) if color else np.full(3, rng.uniform(30, 130))
        if rng.random() < 0.6:
            cv2.line(overlay, start, end, tone.tolist(), int(rng.integers(1, 5)), cv2.LINE_AA)
        else:
            axes = [int(v) for v in rng.integers(size // 12, size // 4, 2)]
            cv2.ellipse(overlay, start, axes, rng.uniform(0, 180), 0, 360, tone.tolist(), -1)
    overlay = cv2.GaussianBlur(overlay, (0, 0), float(rng.uniform(0.8, 2.5)))
    return canvas + (overlay - canvas) * np.float32(rng.uniform(0.25, 0.5))


def _outline(
    rng: np.random.Generator, style: str, label: int, size: float
) -> Tuple[np.ndarray, np.ndarray]:
    """Corners around the center of the box, shape (K, 2), empty for ellipses; and the box's size.

    The longer side of the box is ``size``.
    """
    if style == 'infrared':
        return np.zeros((0, 2)), size * np.array([1.0, rng.uniform(0.6, 1.0)])[rng.permutation(2)]
    if label == 0:
        return np.zeros((0, 2)), np.array([size, size])
    corners = 4 if label == 1 else 3
    start = np.pi / 4 + rng.uniform(-0.3, 0.3) if label == 1 else rng.uniform(0, 2 * np.pi)
    angles = start + np.arange(corners) * (2 * np.pi / corners)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    low, high = points.min(axis=0), points.max(axis=0)
    factor = size / (high - low).max()
    return (points - (low + high) / 2) * factor, (high - low) * factor


def _place(
    rng: np.random.Generator, extent: np.ndarray, boxes: np.ndarray, size: int
) -> Optional[np.ndarray]:
    """A center where the object lies inside the image and clear of the others, or None."""
    margin = extent / 2 + 1
    for center in rng.uniform(margin, size - margin, (30, 2)):
        low, high = center - extent / 2 - _GAP, center + extent / 2 + _GAP
        apart = (boxes[:, 2:] < low).any(axis=1) | (boxes[:, :2] > high).any(axis=1)
        if apart.all():
            return center
    return None


def _patch(center: np.ndarray, radius: float, size: int) -> Tuple[Tuple[slice, slice], np.ndarray]:
    """Slices around a center and the offsets of the pixel centers from it, shape (H, W, 2)."""
    low = np.maximum(np.floor(center - radius - 2), 0).astype(int)
    high = np.minimum(np.ceil(center + radius + 2), size).astype(int)
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    grid = np.mgrid[window][::-1].transpose(1, 2, 0) + 0.5
    return window, grid - center


def _paint_shape(
    rng: np.random.Generator,
    canvas: np.ndarray,
    mask: np.ndarray,
    center: np.ndarray,
    outline: np.ndarray,
    label: int,
    size: float,
) -> None:
    """Blend a shape with smooth edges into the canvas and set its pixels in the mask."""
    window, offset = _patch(center, size, canvas.shape[0])
    if len(outline):
        edge = np.roll(outline, -1, axis=0) - outline
        normal = np.stack([edge[:, 1], -edge[:, 0]], axis=1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        distance = (offset @ normal.T - (outline * normal).sum(axis=1)).max(axis=2)
    else:
        distance = np.linalg.norm(offset, axis=2) - size / 2
    alpha = np.clip(0.5 - distance, 0, 1).astype(np.float32)
    tone = _SHAPE_COLORS[label] + rng.uniform(-30, 30, 3).astype(np.float32)
    opacity = alpha * np.float32(rng.uniform(0.8, 1.0))
    canvas[window] += (tone - canvas[window]) * opacity[..., None]
    mask[window][alpha >= 0.5] = 255


def _paint_blob(
    rng: np.random.Generator,
    canvas: np.ndarray,
    mask: np.ndarray,
    center: np.ndarray,
    extent: np.ndarray,
) -> None:
    """Add a bright blob that has faded by three quarters at the border of its mask."""
    window, offset = _patch(center, float(extent.max()), canvas.shape[0])
    radius = ((offset / (extent / 2)) ** 2).sum(axis=2)
    glow = np.exp(-1.4 * radius).astype(np.float32)
    canvas[window] += (rng.uniform(70, 150) * glow)[..., None]
    mask[window][radius <= 1.0] = 255
