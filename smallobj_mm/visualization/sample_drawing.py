# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw what a detector is given: the image, its boxes and its ignore regions."""

from __future__ import annotations

import colorsys
from typing import Sequence

import cv2
import numpy as np

#: Color of ignore regions (BGR); class colors are saturated, so that gray is free.
IGNORE_COLOR = (200, 200, 200)
LEGEND_HEIGHT = 18


def class_colors(num_classes: int) -> np.ndarray:
    """Saturated colors with evenly spread hues.

    Args:
        num_classes: Number of classes.

    Returns:
        Array (num_classes, 3) uint8, BGR.
    """
    hues = [index / num_classes for index in range(num_classes)]
    rgb = [colorsys.hsv_to_rgb(hue, 0.9, 1.0) for hue in hues]
    return (np.array(rgb).reshape(-1, 3)[:, ::-1] * 255).round().astype(np.uint8)


def _frame(canvas: np.ndarray, box: np.ndarray, color: Sequence[int]) -> None:
    """Draw the box as a frame of one pixel just outside of it, so that the object stays visible."""
    x1, y1 = np.floor(box[:2]).astype(int) - 1
    x2, y2 = np.ceil(box[2:]).astype(int)
    cv2.rectangle(canvas, (int(x1), int(y1)), (int(x2), int(y2)), [int(c) for c in color], 1)


def _hatch(canvas: np.ndarray, box: np.ndarray) -> None:
    """Draw an ignore region as a gray frame filled with diagonal lines."""
    height, width = canvas.shape[:2]
    x1, y1 = np.clip(np.floor(box[:2]).astype(int), 0, [width, height])
    x2, y2 = np.clip(np.ceil(box[2:]).astype(int), 0, [width, height])
    rows, columns = np.mgrid[y1:y2, x1:x2]
    canvas[y1:y2, x1:x2][(rows + columns) % 8 == 0] = IGNORE_COLOR
    _frame(canvas, box, IGNORE_COLOR)


def draw_sample(
    img: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    ignored: np.ndarray,
    classes: Sequence[str],
    zoom: int = 1,
) -> np.ndarray:
    """Draw a sample with a legend below the image.

    Objects get a thin frame in the color of their class around them, ignore regions a gray frame
    and hatching. The legend says how many of each there are.

    Args:
        img: Array (H, W, 3) or (H, W, 1), uint8, BGR.
        boxes: Array (n, 4), x1 y1 x2 y2 in pixels.
        labels: Array (n,), class indices.
        ignored: Array (k, 4), boxes of ignore regions.
        classes: Names of the classes.
        zoom: The image is enlarged this many times, without interpolation.

    Returns:
        Array (H · zoom + legend, W · zoom, 3), uint8, BGR.
    """
    if img.shape[2] == 1:
        img = np.repeat(img, 3, axis=2)
    canvas = np.ascontiguousarray(img.repeat(zoom, axis=0).repeat(zoom, axis=1))
    colors = class_colors(len(classes))
    for box in ignored:
        _hatch(canvas, box * zoom)
    for box, label in zip(boxes, labels):
        _frame(canvas, box * zoom, colors[label])
    counts = np.bincount(labels, minlength=len(classes)) if len(labels) else [0] * len(classes)
    entries: list[tuple[str, Sequence[int]]] = [
        (f'{name} {count}', [int(c) for c in color])
        for name, count, color in zip(classes, counts, colors)
        if count
    ]
    entries.append((f'ignored {len(ignored)}', IGNORE_COLOR))
    return np.concatenate([canvas, legend_strip(entries, canvas.shape[1])], axis=0)


def legend_strip(entries: Sequence[tuple[str, Sequence[int]]], width: int) -> np.ndarray:
    """Lines of colored words on black, as many as it takes; (h, width, 3) uint8."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.4
    placed, line, x = [], 0, 4
    for text, color in entries:
        size = cv2.getTextSize(text, font, scale, 1)[0][0]
        if x > 4 and x + size > width:
            line, x = line + 1, 4
        placed.append((text, color, x, line))
        x += size + 12
    legend = np.zeros(((line + 1) * LEGEND_HEIGHT, width, 3), dtype=np.uint8)
    for text, color, x, line in placed:
        y = line * LEGEND_HEIGHT + 13
        cv2.putText(legend, text, (x, y), font, scale, tuple(color), 1, cv2.LINE_AA)
    return legend
