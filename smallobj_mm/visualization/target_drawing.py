# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Marks around small targets, as large as the picture asks for; the targets stay visible."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .sample_drawing import legend_strip

_FONT = cv2.FONT_HERSHEY_SIMPLEX
#: Longer side in px of a picture whose lines are one pixel wide.
_UNIT = 640
#: Color of numbers and of the outlines of masks, BGR.
NUMBER, OUTLINE = (80, 240, 255), (255, 200, 0)
#: Space in px between the cells of a contact sheet.
_GAP = 4


def picture_scale(shape: Sequence[int]) -> float:
    """How large lines and letters of a picture (h, w, ...) are, 1 up to 640 px."""
    return max(max(shape[:2]) / _UNIT, 1.0)


def line_width(scale: float) -> int:
    """Width of lines in px."""
    return max(round(scale), 1)


def as_bgr(image: np.ndarray) -> np.ndarray:
    """An image (H, W), (H, W, 1) or (H, W, 3) as (H, W, 3) uint8."""
    image = np.clip(image, 0, 255).astype(np.uint8).reshape(*image.shape[:2], -1)
    return image.repeat(3, axis=2) if image.shape[2] == 1 else image


def enlarge(values: np.ndarray, zoom: int) -> np.ndarray:
    """An array (H, W[, 3]) of uint8 or bool, enlarged by a whole number; a copy.

    Without interpolation. By OpenCV, which lets other threads run meanwhile, where its positions
    (16 bits behind the point) are exact.
    """
    height, width = values.shape[:2]
    if zoom == 1 or zoom**2 * max(height, width) >= 1 << 16:
        return np.array(values.repeat(zoom, axis=0).repeat(zoom, axis=1), order='C')
    numbers = np.ascontiguousarray(values).view(np.uint8)
    size = (width * zoom, height * zoom)
    return cv2.resize(numbers, size, interpolation=cv2.INTER_NEAREST_EXACT).view(values.dtype)


def draw_frames(
    canvas: np.ndarray, bboxes: np.ndarray, colors: Sequence[Sequence[int]], scale: float = 1.0
) -> None:
    """A frame just outside of each box (n, 4), in place; of several the first lies on top.

    Args:
        canvas: Array (h, w, 3) uint8, BGR.
        bboxes: x1, y1, x2, y2 in px of the canvas.
        colors: Of each box, BGR.
        scale: See :func:`picture_scale`.
    """
    width = line_width(scale)
    low = np.floor(bboxes[:, :2]).astype(int) - 1 - width // 2
    high = np.ceil(bboxes[:, 2:]).astype(int) + (width - 1) // 2
    for first, last, color in zip(low[::-1].tolist(), high[::-1].tolist(), colors[::-1]):
        cv2.rectangle(canvas, first, last, tuple(int(value) for value in color), width)


def draw_outline(
    canvas: np.ndarray, mask: np.ndarray, color: Sequence[int] = OUTLINE, scale: float = 1.0
) -> None:
    """A line around a mask (h, w), just outside of it, in place."""
    inside = (mask != 0).astype(np.uint8)
    side = 2 * line_width(scale) + 1
    canvas[(cv2.dilate(inside, np.ones((side, side), np.uint8)) > 0) & (inside == 0)] = color


def draw_numbers(
    canvas: np.ndarray, bboxes: np.ndarray, texts: Sequence[str], scale: float = 1.0
) -> None:
    """Texts beside boxes (n, 4) of the canvas, in place; readable on any ground.

    Where the place above and to the right is outside or taken, another side of the box is.
    """
    height, width = canvas.shape[:2]
    size = 0.45 * scale
    thick = max(round(size * 1.6), 1)
    gap = 2 * line_width(scale) + 1
    taken: list[tuple[int, int, int, int]] = []
    for (x1, y1, x2, y2), text in zip(np.asarray(bboxes).tolist(), texts):
        wide, high = cv2.getTextSize(text, _FONT, size, thick)[0]
        right, left = round(x2) + gap, round(x1) - gap - wide
        upper, lower = round(y1) - gap, round(y2) + gap + high
        places = [(right, upper), (right, lower), (left, upper), (left, lower)]
        x, y = next((place for place in places if _free(place, wide, high, taken, canvas)),
                    (min(max(right, 0), max(width - wide, 0)), upper))  # fmt: skip
        y = min(max(y, high + 2), height - 3)
        taken.append((x, y - high, x + wide, y))
        cv2.putText(canvas, text, (x, y), _FONT, size, (0, 0, 0), thick + 2 * thick, cv2.LINE_AA)
        cv2.putText(canvas, text, (x, y), _FONT, size, NUMBER, thick, cv2.LINE_AA)


def _free(place: tuple[int, int], wide: int, high: int, taken: list, canvas: np.ndarray) -> bool:
    """Whether a text at its lower left corner is inside the canvas and beside the others."""
    x, y = place
    if x < 0 or y - high < 0 or x + wide > canvas.shape[1] or y > canvas.shape[0]:
        return False
    return not any(x < x2 and x1 < x + wide and y - high < y2 and y1 < y
                   for x1, y1, x2, y2 in taken[-50:])  # fmt: skip


def add_legend(
    canvas: np.ndarray, entries: Sequence[tuple[str, Sequence[int]]], scale: float = 1.0
) -> np.ndarray:
    """The canvas with lines of colored words below."""
    width = canvas.shape[1]
    strip = legend_strip(entries, max(round(width / scale), 1))
    if strip.shape[1] != width:
        size = (width, max(round(strip.shape[0] * width / strip.shape[1]), 1))
        strip = cv2.resize(strip, size, interpolation=cv2.INTER_CUBIC)
    return np.concatenate([canvas, strip], axis=0)


def contact_sheet(
    cells: Sequence[np.ndarray], captions: Sequence[str], columns: int = 6
) -> np.ndarray:
    """Pictures (h, w, 3) side by side, each with its caption below, on black.

    Args:
        cells: The pictures; smaller ones are set in the middle.
        captions: A line for each.
        columns: Most cells of a row.

    Returns:
        Array (H, W, 3) uint8, BGR; a line of text where there is no cell.
    """
    if not cells:
        return legend_strip([('nothing found', (255, 255, 255))], 200)
    high = max(cell.shape[0] for cell in cells)
    wide = max(cell.shape[1] for cell in cells)
    boxed = []
    for cell, caption in zip(cells, captions):
        box = np.zeros((high, wide, 3), np.uint8)
        top, left = (high - cell.shape[0]) // 2, (wide - cell.shape[1]) // 2
        box[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
        box = add_legend(box, [(caption, (255, 255, 255))], 1.2)
        boxed.append(np.pad(box, ((0, _GAP), (0, _GAP), (0, 0))))
    columns = min(columns, len(boxed))
    boxed += [np.zeros_like(boxed[0])] * (-len(boxed) % columns)
    rows = [boxed[start : start + columns] for start in range(0, len(boxed), columns)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)
