# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Hits, misses and false alarms of an infrared image, and the picture that marks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from smallobj_mm.evaluation.irstd_counts import (
    IGNORED,
    Components,
    find_components,
    match_components,
)

from .sample_drawing import legend_strip

#: BGR.
HIT, MISS, FALSE_ALARM, PREDICTED = (80, 220, 60), (0, 210, 255), (70, 70, 255), (255, 200, 0)
#: Pixels between the farthest pixel of a component and the circle around it.
MARGIN = 3.0
#: Marked false alarms, the largest first: a network that knows nothing predicts thousands.
MOST_MARKS = 100


class Verdict(NamedTuple):
    """Circles (n, 3) around components: x, y and radius in pixels.

    Attributes:
        hits: Around detected targets.
        misses: Around the other targets.
        false_alarms: Around predicted components that serve no target, largest first.
    """

    hits: np.ndarray
    misses: np.ndarray
    false_alarms: np.ndarray


def judge(predicted: np.ndarray, truth: np.ndarray, matching: str = 'first') -> Verdict:
    """Which targets are found; as :class:`~smallobj_mm.evaluation.irstd_metric.IRSTDMetric` counts.

    Args:
        predicted: Array (H, W), not 0 where a target is predicted.
        truth: Array (H, W), 0 background, 1 target, 255 ignored.
        matching: 'first' or 'optimal'.

    Returns:
        The circles.
    """
    targets = find_components((truth == 1).astype(np.uint8))
    components = find_components(((predicted != 0) & (truth != IGNORED)).astype(np.uint8))
    detected, serves = match_components(targets, components, matching)
    around = _circles(targets)
    false = _circles(components)[~serves]
    return Verdict(around[detected], around[~detected], false[np.argsort(-false[:, 2])])


def _circles(components: Components) -> np.ndarray:
    rows, columns = np.nonzero(components.labels)
    index = components.labels[rows, columns] - 1
    offset = np.stack([columns, rows], axis=1) - components.centroids[index]
    radius = np.zeros(len(components.areas))
    np.maximum.at(radius, index, np.hypot(*offset.T))
    return np.concatenate([components.centroids, radius[:, None] + MARGIN], axis=1)


def draw_verdict(
    image: np.ndarray, predicted: np.ndarray, truth: np.ndarray | None, zoom: int = 1
) -> np.ndarray:
    """The image beside itself with outlines and marks, and a legend below.

    The outline of what is predicted is drawn just outside of it, so that the target itself stays
    visible. Hits and misses are circles, false alarms squares.

    Args:
        image: Array (H, W, 3) uint8, BGR.
        predicted: Array (H, W), not 0 where a target is predicted.
        truth: Array (H, W), 0 background, 1 target, 255 ignored; None draws outlines alone.
        zoom: Both are enlarged this many times, without interpolation.

    Returns:
        Array (H · zoom + legend, 2 · W · zoom + 2, 3) uint8, BGR.
    """
    left = np.ascontiguousarray(image.repeat(zoom, axis=0).repeat(zoom, axis=1))
    right = left.copy()
    _outline(right, (predicted != 0).astype(np.uint8), PREDICTED, zoom)
    entries: list[tuple[str, Sequence[int]]] = [('prediction', PREDICTED)]
    if truth is not None:
        verdict = judge(predicted, truth)
        _outline(left, (truth == 1).astype(np.uint8), HIT, zoom)
        _mark(right, verdict, zoom)
        entries += [
            (f'{name} {len(circles)}', color)
            for name, circles, color in zip(
                ('hits', 'misses', 'false alarms'), verdict, (HIT, MISS, FALSE_ALARM)
            )
        ]
    gap = np.full((len(left), 2, 3), 255, np.uint8)
    both = np.concatenate([left, gap, right], axis=1)
    return np.concatenate([both, legend_strip(entries, both.shape[1])], axis=0)


def _outline(canvas: np.ndarray, mask: np.ndarray, color: tuple, zoom: int) -> None:
    """A line of one pixel of the canvas around the mask, in place."""
    large = mask.repeat(zoom, axis=0).repeat(zoom, axis=1)
    canvas[(cv2.dilate(large, np.ones((3, 3), np.uint8)) > 0) & (large == 0)] = color


def _mark(canvas: np.ndarray, verdict: Verdict, zoom: int) -> None:
    for circles, color in ((verdict.hits, HIT), (verdict.misses, MISS)):
        for x, y, radius in (circles + [0.5, 0.5, 0]) * zoom:
            center = (round(x), round(y))
            cv2.circle(canvas, center, round(radius) + 2, color, 1, cv2.LINE_AA)
    for x, y, radius in (verdict.false_alarms[:MOST_MARKS] + [0.5, 0.5, 0]) * zoom:
        low, high = (round(x - radius), round(y - radius)), (round(x + radius), round(y + radius))
        cv2.rectangle(canvas, low, high, FALSE_ALARM, 1)
