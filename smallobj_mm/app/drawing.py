# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The picture of a result with numbered targets, and the targets enlarged."""

from __future__ import annotations

import cv2
import numpy as np

from smallobj_mm.inference import Targets
from smallobj_mm.inference.pictures import draw_boxes
from smallobj_mm.utils.errors import UserError
from smallobj_mm.visualization.irstd_marks import draw_verdict

from .analysis import Analysis, Found

#: What the picture may show, by whether there is a mask.
VIEWS = {True: ('Outlines', 'Mask', 'Probability', 'Image'), False: ('Boxes', 'Image')}
#: Longest side of the picture in px: smaller images are enlarged by whole numbers to about the
#: first, larger ones reduced to the second.
ENLARGED, REDUCED = 512, 1280
#: Numbered targets, the best first: more would hide the image.
MOST_NUMBERS = 100
#: Enlarged targets, the best first.
MOST_ENLARGED = 24
#: Side of an enlarged target in px, and the sides in px of what is cut out around it.
CELL, WINDOWS = 256, (32, 64, 128, 256)
#: Least side of what is cut out, as a multiple of the target's longer side.
SURROUNDINGS = 1.6
#: Grey levels between the darkest and the brightest pixel that are stretched at most.
LEAST_CONTRAST = 13.0
#: Least side in px of a frame in the picture.
LEAST_FRAME = 8.0
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw(analysis: Analysis, found: Found, view: str, reduce: bool = True) -> np.ndarray:
    """The picture of a result.

    Args:
        analysis: The image and what the network said about it.
        found: The targets.
        view: One of :data:`VIEWS`.
        reduce: Whether large images are made smaller.

    Returns:
        Array (h, w, 3) uint8, BGR.

    Raises:
        UserError: There is no such view of this task.
    """
    views = VIEWS[analysis.segmentation]
    if view not in views:
        raise UserError(f'view is {view!r}, expected one of {", ".join(views)}')
    longest = max(analysis.image.shape[:2])
    shrink = min(REDUCED / longest, 1.0) if reduce else 1.0
    zoom = max(round(ENLARGED / longest), 1)
    mask, probability = found.mask, analysis.probability  # both there, or neither
    if view == 'Mask' and mask is not None:
        grey = _resize(mask.astype(np.uint8) * np.uint8(255), shrink, keep=True)
        canvas = _enlarge(np.stack([grey] * 3, axis=2), zoom)
    elif view == 'Probability' and probability is not None:
        canvas = _enlarge(_colour(_resize(probability, shrink)), zoom)
    else:
        canvas = _resize(analysis.image, shrink)
        if view == 'Outlines' and mask is not None:
            canvas = _outlined(canvas, _resize(mask.astype(np.uint8), shrink, True), zoom)
        elif view == 'Boxes':
            canvas = _framed(canvas, found.targets, analysis.classes, shrink, zoom)
        else:
            return _enlarge(canvas, zoom)
    _number(canvas, found.targets.bboxes[:MOST_NUMBERS] * (shrink * zoom))
    return canvas


def _resize(values: np.ndarray, shrink: float, keep: bool = False) -> np.ndarray:
    """An array (H, W[, 3]) made smaller; with ``keep`` whatever is not 0 stays."""
    if shrink == 1:
        return values
    size = tuple(max(round(side * shrink), 1) for side in values.shape[1::-1])
    if not keep:
        return cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return (small > 0).astype(values.dtype) * values.max()


def _enlarge(values: np.ndarray, zoom: int) -> np.ndarray:
    return np.ascontiguousarray(values.repeat(zoom, axis=0).repeat(zoom, axis=1))


def _colour(probability: np.ndarray) -> np.ndarray:
    """A map of probabilities in colours from black over red to light yellow."""
    return cv2.applyColorMap(np.rint(probability * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)


def _outlined(image: np.ndarray, mask: np.ndarray, zoom: int) -> np.ndarray:
    """The image, enlarged, with outlines around the mask."""
    height, width = image.shape[:2]
    # The right half of what it draws, without the legend.
    both = draw_verdict(image, mask, None, zoom)
    return np.ascontiguousarray(both[: height * zoom, -width * zoom :])


def _framed(
    image: np.ndarray, targets: Targets, classes: tuple[str, ...], shrink: float, zoom: int
) -> np.ndarray:
    """The image, enlarged, with a frame around each box, however small that is."""
    bboxes = targets.bboxes * np.float32(shrink)
    middle = (bboxes[:, :2] + bboxes[:, 2:]) / 2
    half = np.maximum(bboxes[:, 2:] - bboxes[:, :2], LEAST_FRAME / zoom) / 2
    bboxes = np.concatenate([middle - half, middle + half], axis=1)
    drawn = draw_boxes(image, targets._replace(bboxes=bboxes), classes, zoom)
    return np.ascontiguousarray(drawn[: len(image) * zoom])


def _number(canvas: np.ndarray, bboxes: np.ndarray) -> None:
    """Write numbers from 1 on beside boxes (n, 4) of the canvas, in place."""
    height, width = canvas.shape[:2]
    scale = max(max(height, width) / ENLARGED, 0.6) * 0.42
    for number, (x1, y1, x2, _) in enumerate(bboxes.tolist(), 1):
        text = str(number)
        wide, high = cv2.getTextSize(text, _FONT, scale, 1)[0]
        x, y = round(x2) + 4, round(y1) - 3
        if x + wide > width:  # to the left of a target at the right border
            x = max(round(x1) - 4 - wide, 0)
        y = min(max(y, high + 2), height - 3)
        thick = max(round(scale * 1.6), 1)
        cv2.putText(canvas, text, (x, y), _FONT, scale, (0, 0, 0), thick + 3, cv2.LINE_AA)
        cv2.putText(canvas, text, (x, y), _FONT, scale, (80, 240, 255), thick, cv2.LINE_AA)


def enlarge_targets(analysis: Analysis, found: Found) -> list[tuple[np.ndarray, str]]:
    """The best targets, cut out with what surrounds them, with their numbers and probabilities.

    The contrast of each is stretched. Of segmentation the map of probabilities is beside it.

    Returns:
        Arrays (h, w, 3) uint8, BGR, and captions.
    """
    targets = found.targets
    cells = []
    for index in range(min(len(targets.scores), MOST_ENLARGED)):
        window = _window(targets.bboxes[index], analysis.image.shape[:2])
        part = _stretched(analysis.image[window])
        zoom = max(CELL // max(part.shape[:2]), 1)
        if found.mask is not None and analysis.probability is not None:
            left = _fit(_outlined(part, found.mask[window].astype(np.uint8), zoom))
            right = _fit(_enlarge(_colour(analysis.probability[window]), zoom))
            gap = np.full((len(left), 4, 3), 255, dtype=np.uint8)
            cell = np.concatenate([left, gap, right], axis=1)
        else:
            own = Targets(*(values[index : index + 1] for values in targets))
            offset = np.array([window[1].start, window[0].start] * 2, dtype=np.float32)
            own = own._replace(bboxes=own.bboxes - offset)
            cell = _fit(draw_boxes(part, own, analysis.classes, zoom)[: len(part) * zoom])
        kind = analysis.classes[targets.labels[index]]
        cells.append((cell, f'{index + 1} · {kind} · {targets.scores[index]:.2f}'))
    return cells


def _window(bbox: np.ndarray, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a square around a box, moved into the image where it reaches beyond."""
    length = float(max(bbox[2:] - bbox[:2])) * SURROUNDINGS
    side = next((side for side in WINDOWS if side >= length), int(np.ceil(length)))
    slices = []
    for axis, size in zip((1, 0), shape):
        middle = float(bbox[axis] + bbox[axis + 2]) / 2
        start = int(np.clip(round(middle - side / 2), 0, max(size - side, 0)))
        slices.append(slice(start, min(start + side, size)))
    return slices[0], slices[1]


def _stretched(part: np.ndarray) -> np.ndarray:
    """Grey levels spread: many targets are hardly brighter than their ground."""
    low, high = float(part.min()), float(part.max())
    scaled = (part - np.float32(low)) * np.float32(255 / max(high - low, LEAST_CONTRAST))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _fit(part: np.ndarray) -> np.ndarray:
    """A part whose longer side is that of a cell."""
    factor = CELL / max(part.shape[:2])
    if factor == 1:
        return part
    size = tuple(max(round(side * factor), 1) for side in part.shape[1::-1])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    return cv2.resize(part, size, interpolation=method)
