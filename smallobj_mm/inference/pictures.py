# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Results drawn such that small targets stay visible, in images of any size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from smallobj_mm.visualization import class_colors
from smallobj_mm.visualization.target_drawing import (
    OUTLINE,
    add_legend,
    as_bgr,
    contact_sheet,
    draw_frames,
    draw_numbers,
    draw_outline,
    enlarge,
    picture_scale,
)

from .targets import Targets

#: Small images are enlarged by whole numbers until their longer side has about so many pixels.
SIDE = 512
#: Numbered targets, the best first: more would hide the image.
MOST_NUMBERS = 100
#: Enlarged targets of a contact sheet, the best first.
MOST_ENLARGED = 24
#: Side of an enlarged target in px, and the sides in px of what is cut out around it.
CELL, WINDOWS = 256, (32, 64, 128, 256)
#: Least side of what is cut out, as a multiple of the target's longer side.
SURROUNDINGS = 1.6
#: Gray levels between the darkest and the brightest pixel that are stretched at most.
LEAST_CONTRAST = 13.0
#: Least side of a frame, in widths of its line.
_LEAST_FRAME = 4


def draw_result(
    image: np.ndarray,
    targets: Targets,
    classes: Sequence[str],
    mask: np.ndarray | None = None,
    numbers: bool = True,
    beside: bool = False,
    labels: Sequence[str] | None = None,
) -> np.ndarray:
    """The picture of a result: frames around boxes, outlines around masks, numbers, a legend.

    Lines and letters are as large as the image asks for; small images are enlarged.

    Args:
        image: Array (H, W), (H, W, 1) or (H, W, 3), BGR.
        targets: What was found in it.
        classes: Names by label.
        mask: Array (H, W) of segmentation, which is outlined instead of frames.
        numbers: Whether the best targets are numbered as in the table.
        beside: Whether the image without marks is beside it.
        labels: Texts in the place of the numbers.

    Returns:
        Array (h, w, 3) uint8, BGR, with a legend below.
    """
    image = as_bgr(image)
    zoom = max(round(SIDE / max(image.shape[:2])), 1)
    canvas = enlarge(image, zoom)
    scale = picture_scale(canvas.shape)
    mark_targets(canvas, targets, classes, mask, zoom)
    if numbers or labels is not None:
        texts = labels or [str(number + 1) for number in range(len(targets.scores))]
        draw_numbers(canvas, targets.bboxes[:MOST_NUMBERS] * zoom, texts[:MOST_NUMBERS], scale)
    if beside:
        gap = np.full((len(canvas), max(round(2 * scale), 2), 3), 255, np.uint8)
        canvas = np.concatenate([enlarge(image, zoom), gap, canvas], axis=1)
    return add_legend(canvas, legend_entries(targets, classes, mask is not None), scale)


def mark_targets(
    canvas: np.ndarray,
    targets: Targets,
    classes: Sequence[str],
    mask: np.ndarray | None = None,
    zoom: float = 1,
) -> None:
    """Outline a mask, or frame boxes, in place.

    Args:
        canvas: Array (h, w, 3) uint8, BGR: the image, enlarged.
        targets: In px of the image.
        classes: Names by label.
        mask: Array of the image's size; frames are drawn if None.
        zoom: How many times the image is enlarged.
    """
    scale = picture_scale(canvas.shape)
    if mask is not None:
        large = mask if zoom == 1 else enlarge(mask != 0, int(zoom))
        draw_outline(canvas, large, OUTLINE, scale)
        return
    colors = class_colors(len(classes))
    draw_frames(canvas, _grown(targets.bboxes * zoom, scale), colors[targets.labels], scale)


def _grown(bboxes: np.ndarray, scale: float) -> np.ndarray:
    """Boxes with the least size that a frame of this width can have and be seen as one."""
    middle = (bboxes[:, :2] + bboxes[:, 2:]) / 2
    least = _LEAST_FRAME * (scale if scale > 1 else 0)
    half = np.maximum(bboxes[:, 2:] - bboxes[:, :2], least) / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def legend_entries(
    targets: Targets, classes: Sequence[str], segmentation: bool
) -> list[tuple[str, Sequence[int]]]:
    """How many targets of each class there are, in their colors."""
    counts = np.bincount(targets.labels, minlength=len(classes))
    colors = [OUTLINE] * len(classes) if segmentation else class_colors(len(classes)).tolist()
    entries = [(f'{n} {c}', color) for n, c, color in zip(classes, counts, colors) if c]
    return entries or [('nothing found', (255, 255, 255))]


def draw_contact_sheet(
    image: np.ndarray,
    targets: Targets,
    classes: Sequence[str],
    mask: np.ndarray | None = None,
    most: int = MOST_ENLARGED,
) -> np.ndarray:
    """The best targets, enlarged, with their numbers, classes and scores.

    Args:
        image: Array (H, W), (H, W, 1) or (H, W, 3), BGR.
        targets: What was found in it.
        classes: Names by label.
        mask: Array (H, W) of segmentation.
        most: Most targets that are shown.

    Returns:
        Array (h, w, 3) uint8, BGR.
    """
    cells = [
        enlarge_target(image, targets, index, classes, mask)
        for index in range(min(len(targets.scores), most))
    ]
    return contact_sheet(cells, [caption(targets, i, classes, '  ') for i in range(len(cells))])


def caption(targets: Targets, index: int, classes: Sequence[str], between: str = ' · ') -> str:
    """Number, class and score of a target."""
    kind = classes[targets.labels[index]]
    return between.join([str(index + 1), kind, f'{targets.scores[index]:.2f}'])


def enlarge_target(
    image: np.ndarray,
    targets: Targets,
    index: int,
    classes: Sequence[str],
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """A target cut out with what surrounds it; its contrast is stretched.

    Returns:
        Array (h, w, 3) uint8, BGR, whose longer side is :data:`CELL`.
    """
    window = target_window(targets.bboxes[index], image.shape[:2])
    part = as_bgr(stretched(image[window]))
    zoom = max(CELL // max(part.shape[:2]), 1)
    canvas = enlarge(part, zoom)
    offset = np.array([window[1].start, window[0].start] * 2, dtype=np.float32)
    own = targets.take(slice(index, index + 1))
    own = own._replace(bboxes=own.bboxes - offset)
    mark_targets(canvas, own, classes, None if mask is None else mask[window], zoom)
    return fit_cell(canvas)


def target_window(bbox: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a square around a box, moved into the image where it reaches beyond."""
    length = float(max(bbox[2:] - bbox[:2])) * SURROUNDINGS
    side = next((side for side in WINDOWS if side >= length), int(np.ceil(length)))
    slices = []
    for axis, size in zip((1, 0), shape):
        middle = float(bbox[axis] + bbox[axis + 2]) / 2
        start = int(np.clip(round(middle - side / 2), 0, max(size - side, 0)))
        slices.append(slice(start, min(start + side, size)))
    return slices[0], slices[1]


def stretched(part: np.ndarray) -> np.ndarray:
    """Gray levels spread: many targets are hardly brighter than their ground."""
    low, high = float(part.min()), float(part.max())
    scaled = (part - np.float32(low)) * np.float32(255 / max(high - low, LEAST_CONTRAST))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def fit_cell(part: np.ndarray) -> np.ndarray:
    """A part whose longer side is that of a cell."""
    factor = CELL / max(part.shape[:2])
    if factor == 1:
        return part
    size = tuple(max(round(side * factor), 1) for side in part.shape[1::-1])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    return cv2.resize(part, size, interpolation=method)
