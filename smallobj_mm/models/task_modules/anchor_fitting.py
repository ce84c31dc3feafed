# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""How well anchors fit the boxes of a data set, and anchors that fit better.

Sizes are compared by the larger ratio of their sides, ``r = max(w/a, a/w, h/b, b/h)``: an anchor
(a, b) can be assigned to a box (w, h) if r is below a limit. In logarithms that is the maximum
distance, ``max(|log w - log a|, |log h - log b|) < log(limit)``, which is what the functions below
compute with.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple, Sequence

import numpy as np
from scipy.cluster.vq import kmeans2

from smallobj_mm.utils.errors import UserError

#: Boxes that the evolution looks at in one go; more are sampled down to this.
MAX_BOXES = 5000


class AnchorFit(NamedTuple):
    """How well anchors fit boxes.

    Attributes:
        recall: Best possible recall: part of the boxes for which some anchor is within the limit.
        anchors_per_box: Mean number of anchors within the limit.
        similarity: Mean over the boxes of 1 / r of the best anchor; 1 is a perfect fit.
    """

    recall: float
    anchors_per_box: float
    similarity: float


def check_sizes(name: str, sizes: np.ndarray) -> np.ndarray:
    """Return sizes as an array (n, 2) float64, or raise ValueError if they are not positive."""
    array = np.asarray(sizes, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2 or not len(array):
        raise UserError(
            f'{name}: found an array of shape {array.shape}, expected (n, 2) widths and heights '
            'with n > 0'
        )
    if not (np.isfinite(array) & (array > 0)).all():
        raise UserError(f'{name}: found sizes that are not positive, expected px above 0')
    return array


def fit_of_anchors(boxes: np.ndarray, anchors: np.ndarray, limit: float = 4.0) -> AnchorFit:
    """Measure anchors on boxes.

    Args:
        boxes: Array (n, 2), widths and heights in pixels at the size that the network sees.
        anchors: Array (a, 2), in the same pixels.
        limit: Largest ratio of sides at which an anchor can be assigned.

    Returns:
        The three measures.

    Raises:
        UserError: If an array is empty, has another shape, or sizes that are not positive.
    """
    boxes = check_sizes('boxes', boxes)
    anchors = check_sizes('anchors', anchors)
    distance = np.abs(np.log(boxes)[:, None] - np.log(anchors)[None]).max(axis=2)
    best = distance.min(axis=1)
    within = distance < np.log(limit)
    return AnchorFit(
        recall=float((best < np.log(limit)).mean()),
        anchors_per_box=float(within.sum(axis=1).mean()),
        similarity=float(np.exp(-best).mean()),
    )


def _fitness(log_boxes: np.ndarray, log_anchors: np.ndarray, log_limit: float) -> np.ndarray:
    """Mean similarity, zero beyond the limit, of each set of anchors (p, a, 2) -> (p,)."""
    distance = np.abs(log_boxes[:, 0] - log_anchors[:, :, :1])
    np.maximum(distance, np.abs(log_boxes[:, 1] - log_anchors[:, :, 1:]), out=distance)
    best = distance.min(axis=1)
    return (np.exp(-best) * (best < log_limit)).mean(axis=1)


def _cluster(log_boxes: np.ndarray, num_anchors: int) -> np.ndarray:
    """k-means of (n, 2) points, started from different sizes evenly spread by area."""
    different = np.unique(log_boxes, axis=0)
    by_area = different[np.argsort(different.sum(axis=1), kind='stable')]
    start = ((np.arange(num_anchors) + 0.5) / num_anchors * len(by_area)).astype(int)
    with warnings.catch_warnings():
        # A cluster that runs empty keeps its center, which the evolution then moves.
        warnings.filterwarnings('ignore', message='One of the clusters is empty')
        centers, _ = kmeans2(log_boxes, by_area[start], iter=50, minit='matrix')
    return centers.astype(np.float32)


def fit_anchors(
    boxes: np.ndarray,
    num_anchors: int,
    limit: float = 4.0,
    generations: int = 300,
    population: int = 24,
    seed: int = 0,
) -> np.ndarray:
    """Find anchors for boxes: k-means of the logarithms of the sizes, then seeded evolution.

    The evolution maximizes the mean over the boxes of 1 / r of their best anchor, where boxes
    beyond the limit count zero. In each generation all children of the best set so far are judged
    together; the steps of the children differ in size from 0.3 % to 30 %.

    Args:
        boxes: Array (n, 2), widths and heights in pixels at the size that the network sees.
        num_anchors: Number of anchors.
        limit: Largest ratio of sides at which an anchor can be assigned.
        generations: Number of generations; 0 leaves the result of k-means.
        population: Children in a generation.
        seed: Seed of the sample and of the evolution; equal seeds give equal anchors.

    Returns:
        Array (num_anchors, 2) in pixels, to a tenth, by rising area.

    Raises:
        UserError: If there are fewer different sizes than anchors, or sizes that are not positive.
    """
    boxes = check_sizes('boxes', boxes)
    different = len(np.unique(boxes, axis=0))
    if num_anchors < 1 or different < num_anchors:
        raise UserError(
            f'num_anchors: found {num_anchors} for boxes of {different} different sizes, expected '
            '1 or more and no more than there are sizes'
        )
    rng = np.random.default_rng(seed)
    if len(boxes) > MAX_BOXES:
        boxes = boxes[rng.choice(len(boxes), size=MAX_BOXES, replace=False)]
    log_boxes = np.log(boxes).astype(np.float32)
    parent = _cluster(log_boxes, num_anchors)
    log_limit = float(np.log(limit))
    fitness = _fitness(log_boxes, parent[None], log_limit)[0]
    shape = (population, num_anchors, 2)
    for _ in range(generations):
        step = np.exp(rng.uniform(np.log(0.003), np.log(0.3), size=(population, 1, 1)))
        change = rng.normal(size=shape) * step * (rng.random(shape) < 0.5)
        children = parent + change.astype(np.float32)
        judged = _fitness(log_boxes, children, log_limit)
        best = int(judged.argmax())
        if judged[best] > fitness:
            parent, fitness = children[best], judged[best]
    # Tenths, since half a pixel is a sixth of an anchor of 3 px.
    anchors = np.maximum(np.round(np.exp(parent.astype(np.float64)), 1), 0.1)
    return anchors[np.argsort(anchors.prod(axis=1), kind='stable')]


def split_over_levels(anchors: np.ndarray, num_levels: int) -> list[list[tuple[float, float]]]:
    """Deal anchors out to the levels of a detector, the smallest to the finest level.

    Args:
        anchors: Array (a, 2) by rising area.
        num_levels: Number of levels; has to divide a.

    Returns:
        For each level its (width, height) pairs: ``base_sizes`` of a ``YOLOAnchorGenerator``.

    Raises:
        UserError: If the anchors cannot be dealt out evenly.
    """
    if num_levels < 1 or len(anchors) % num_levels:
        raise UserError(
            f'anchors: found {len(anchors)} for {num_levels} levels, expected a multiple of the '
            'number of levels'
        )
    each = len(anchors) // num_levels
    pairs = [(float(width), float(height)) for width, height in anchors]
    return [pairs[start : start + each] for start in range(0, len(pairs), each)]


def resized_sizes(
    sizes: np.ndarray, image_size: Sequence[int], target: Sequence[int]
) -> np.ndarray:
    """Sizes of boxes after their image was resized to fit a target with its aspect ratio kept.

    Args:
        sizes: Array (n, 2), widths and heights in pixels of the image.
        image_size: Width and height of the image in pixels.
        target: Width and height to fit in pixels.

    Returns:
        Array (n, 2) in pixels of the resized image.
    """
    return sizes * min(target[0] / image_size[0], target[1] / image_size[1])
