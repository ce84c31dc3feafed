# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The picture of a result on the page, and the targets enlarged."""

from __future__ import annotations

import cv2
import numpy as np

from smallobj_mm.inference.pictures import (
    MOST_ENLARGED,
    MOST_NUMBERS,
    caption,
    enlarge_target,
    fit_cell,
    mark_targets,
    target_window,
)
from smallobj_mm.utils.errors import UserError
from smallobj_mm.visualization.target_drawing import draw_numbers, enlarge, picture_scale

from .analysis import Analysis, Detections

__all__ = ['MOST_ENLARGED', 'VIEWS', 'draw', 'enlarge_targets']

#: What the picture may show, by whether there is a mask.
VIEWS = {True: ('Outlines', 'Mask', 'Probability', 'Image'), False: ('Boxes', 'Image')}
#: Longest side of the picture in px: smaller images are enlarged by whole numbers to about the
#: first, larger ones reduced to the second.
ENLARGED, REDUCED = 512, 1280
#: Least side in px of a frame in the picture.
LEAST_FRAME = 8.0


def draw(analysis: Analysis, detected: Detections, view: str) -> np.ndarray:
    """The picture of a result, not larger than the page shows it.

    Args:
        analysis: The image and what the network said about it.
        detected: The targets.
        view: One of :data:`VIEWS`.

    Returns:
        Array (h, w, 3) uint8, BGR.

    Raises:
        UserError: There is no such view of this task.
    """
    views = VIEWS[analysis.segmentation]
    if view not in views:
        raise UserError(f'view is {view!r}, expected one of {", ".join(views)}')
    longest = max(analysis.image.shape[:2])
    shrink = min(REDUCED / longest, 1.0)
    zoom = max(round(ENLARGED / longest), 1)
    mask, probability = detected.mask, analysis.probability  # both there, or neither
    if view == 'Mask' and mask is not None:
        gray = _resize(mask.astype(np.uint8) * np.uint8(255), shrink, keep=True)
        canvas = enlarge(np.stack([gray] * 3, axis=2), zoom)
    elif view == 'Probability' and probability is not None:
        canvas = enlarge(_color(_resize(probability, shrink)), zoom)
    else:
        canvas = enlarge(_resize(analysis.image, shrink), zoom)
        if view == 'Image':
            return canvas
        small = None if mask is None else _resize(mask.astype(np.uint8), shrink, keep=True)
        bboxes = _at_least(detected.targets.bboxes * np.float32(shrink), LEAST_FRAME / zoom)
        targets = detected.targets._replace(bboxes=bboxes)
        mark_targets(canvas, targets, analysis.classes, small, zoom)
    bboxes = detected.targets.bboxes[:MOST_NUMBERS] * (shrink * zoom)
    texts = [str(number + 1) for number in range(len(bboxes))]
    draw_numbers(canvas, bboxes, texts, picture_scale(canvas.shape))
    return canvas


def _at_least(bboxes: np.ndarray, side: float) -> np.ndarray:
    """Boxes (n, 4) with sides of at least so many px."""
    middle = (bboxes[:, :2] + bboxes[:, 2:]) / 2
    half = np.maximum(bboxes[:, 2:] - bboxes[:, :2], side) / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def _resize(values: np.ndarray, shrink: float, keep: bool = False) -> np.ndarray:
    """An array (H, W[, 3]) made smaller; with ``keep`` whatever is not 0 stays."""
    if shrink == 1:
        return values
    size = tuple(max(round(side * shrink), 1) for side in values.shape[1::-1])
    if not keep:
        return cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return (small > 0).astype(values.dtype) * values.max()


def _color(probability: np.ndarray) -> np.ndarray:
    """A map of probabilities in colors from black over red to light yellow."""
    return cv2.applyColorMap(np.rint(probability * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)


def enlarge_targets(analysis: Analysis, detected: Detections) -> list[tuple[np.ndarray, str]]:
    """The best targets, cut out with what surrounds them, with their numbers and scores.

    The contrast of each is stretched. Of segmentation the map of probabilities is beside it.

    Returns:
        Arrays (h, w, 3) uint8, BGR, and captions.
    """
    targets, classes, probability = detected.targets, analysis.classes, analysis.probability
    cells = []
    for index in range(min(len(targets.scores), MOST_ENLARGED)):
        cell = enlarge_target(analysis.image, targets, index, classes, detected.mask)
        if probability is not None:
            window = target_window(targets.bboxes[index], analysis.image.shape[:2])
            right = fit_cell(_color(probability[window]))
            gap = np.full((len(cell), 4, 3), 255, dtype=np.uint8)
            cell = np.concatenate([cell, gap, right], axis=1)
        cells.append((cell, caption(targets, index, classes)))
    return cells
