# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What one infrared image contributes to the metrics of a set: counts, no ratios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Sequence

import cv2
import numpy as np

from smallobj_mm.utils.errors import UserError

#: Centroids strictly nearer than this many pixels belong together.
MATCH_DISTANCE = 3.0
#: Value of pixels of the truth that count nowhere.
IGNORED = 255
MATCHINGS = ('first', 'optimal')
#: A probability above this is above 0 in a map of 8 bits, whether the map was written by
#: ``encode_probabilities`` or read from a file (1/255 > 1/256).
ABOVE_ZERO = 1 / 256

_TAILS = 2.0 ** np.arange(-20, -8)
#: Rising thresholds of the ROC and PR curves, exact in float32: 0, powers of two up to 1/256, its
#: multiples, and the powers mirrored at 1/2: networks that are sure of themselves put nearly all
#: pixels into the two tails.
LEVELS = np.concatenate([[0.0], _TAILS, np.arange(1, 256) / 256, 1 - _TAILS[::-1]])
#: Thresholds of the Pd-Fa curve.
SWEEP = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99,
)  # fmt: skip


class Components(NamedTuple):
    """8-connected components of a mask, in no particular order.

    Attributes:
        labels: Array (H, W) int32; 0 is background, component i has the value i + 1.
        areas: Array (n,), pixels.
        centroids: Array (n, 2) float64, x and y of the mean pixel.
    """

    labels: np.ndarray
    areas: np.ndarray
    centroids: np.ndarray


@dataclass
class ImageCounts:
    """Counts of one image; T thresholds, n targets, S thresholds of the sweep.

    Attributes:
        pixels: Pixels that count.
        target_pixels: Pixels of targets.
        hits: Array (T,), target pixels that are predicted.
        predicted: Array (T,), predicted pixels.
        target_areas: Array (n,), pixels of each target.
        detected: Bool array (T, n).
        components: Array (T,), predicted components.
        false_components: Array (T,), those that belong to no target.
        false_pixels: Array (T,), their pixels.
        above_zero: Hit and predicted pixels of the 8-bit map above 0.
        target_levels: Array (levels + 1,): entry k counts the target pixels whose probability is
            above exactly k of :data:`LEVELS`; None without curves.
        other_levels: The same for background pixels.
        sweep_detected: Array (S,), detected targets at :data:`SWEEP`; None without curves.
        sweep_false_pixels: Array (S,).
    """

    pixels: int
    target_pixels: int
    hits: np.ndarray
    predicted: np.ndarray
    target_areas: np.ndarray
    detected: np.ndarray
    components: np.ndarray
    false_components: np.ndarray
    false_pixels: np.ndarray
    above_zero: tuple[int, int]
    target_levels: np.ndarray | None = None
    other_levels: np.ndarray | None = None
    sweep_detected: np.ndarray | None = None
    sweep_false_pixels: np.ndarray | None = None


def find_components(mask: np.ndarray) -> Components:
    """The 8-connected components of a mask (H, W) uint8; areas and centroids as scikit-image's."""
    # The fastest of OpenCV's algorithms; the order of its labels is not that of the scan.
    _, labels, stats, centroids = cv2.connectedComponentsWithStatsWithAlgorithm(
        mask, 8, cv2.CV_32S, cv2.CCL_BBDT
    )
    return Components(labels, stats[1:, cv2.CC_STAT_AREA], centroids[1:])


def scan_order(components: Components) -> np.ndarray:
    """Indices of the components in the order in which a scan row by row meets them."""
    flat = components.labels.ravel()
    backwards = np.flatnonzero(flat)[::-1]
    first = np.zeros(len(components.areas), dtype=np.int64)
    first[flat[backwards] - 1] = backwards  # of repeated indices the last assignment stays
    return np.argsort(first)


def match_components(
    targets: Components,
    predicted: Components,
    matching: str = 'first',
    distance: float = MATCH_DISTANCE,
) -> tuple[np.ndarray, np.ndarray]:
    """Which targets are detected and which predicted components serve one.

    A component can serve a target if their centroids are strictly nearer than ``distance``; it
    serves one at most.

    Args:
        targets: The n true components.
        predicted: The m predicted components.
        matching: 'first': targets in the order of the scan take the first component, in the order
            of the scan, that no target before them took; what the field's evaluation programs do.
            'optimal': as many targets as possible, among those pairings the one with the smallest
            sum of distances.
        distance: In pixels.

    Returns:
        Bool arrays (n,) and (m,).
    """
    apart = targets.centroids[:, None] - predicted.centroids[None]
    apart = np.sqrt((apart * apart).sum(axis=2))
    near = apart < distance
    detected, serves = near.any(axis=1), near.any(axis=0)
    if near.sum() == detected.sum() == serves.sum():  # nobody has a choice
        return detected, serves
    if matching == 'optimal':
        return _most_pairs(apart, near)
    detected, serves = np.zeros_like(detected), np.zeros_like(serves)
    order = scan_order(predicted)
    rows = scan_order(targets)
    for row in rows[near[rows].any(axis=1)]:
        free = order[near[row, order] & ~serves[order]]
        if len(free):
            detected[row] = serves[free[0]] = True
    return detected, serves


def _most_pairs(apart: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The assignment with most pairs of near components."""
    from scipy.optimize import linear_sum_assignment

    detected, serves = np.zeros(near.shape[0], bool), np.zeros(near.shape[1], bool)
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    near, apart = near[np.ix_(rows, columns)], apart[np.ix_(rows, columns)]
    # One pair more is worth more than the distances of all pairs together.
    worth = 1 + min(near.shape) * apart.max(where=near, initial=0)
    chosen = linear_sum_assignment(np.where(near, apart - worth, 0))
    kept = near[chosen]
    detected[rows[chosen[0][kept]]] = True
    serves[columns[chosen[1][kept]]] = True
    return detected, serves


def level_of(probability: np.ndarray) -> np.ndarray:
    """How many of :data:`LEVELS` lie strictly below each probability, without a search.

    Args:
        probability: Float32 array with values in [0, 1].

    Returns:
        Int32 array of the same shape, 0 to ``len(LEVELS)``.
    """
    tail = len(_TAILS)
    # A float's bits hold its binary exponent; minus 1 so that a power of two is not above itself.
    exponent = ((probability.view(np.int32) - 1) >> 23) - 127
    level = np.clip(exponent + tail + 10, 1, tail + 1)
    level[probability == 0] = 0
    level += np.maximum(np.ceil(probability * 256).astype(np.int32) - 1, 0)
    rest = (1 - probability).view(np.int32)  # exact above 1/2
    level += np.clip(-9 - ((rest >> 23) - 127), 0, tail)
    return level


def count_image(
    probability: np.ndarray,
    truth: np.ndarray,
    thresholds: Sequence[float] = (0.5,),
    matching: str = 'first',
    distance: float = MATCH_DISTANCE,
    curves: bool = False,
) -> ImageCounts:
    """Count one image at all thresholds.

    A pixel is predicted if its probability is strictly above the threshold. Pixels whose truth is
    255 are taken out of prediction and truth before anything is counted.

    Args:
        probability: Array (H, W), probabilities of the foreground; compared in float32.
        truth: Array (H, W), 0 background, 1 target, 255 ignored.
        thresholds: T thresholds in [0, 1).
        matching: See :func:`match_components`.
        distance: See :func:`match_components`.
        curves: Also count what the curves need.

    Returns:
        The counts.

    Raises:
        UserError: The shapes differ, or a value of the truth or a probability is none.
    """
    probability, is_target, valid = _checked(probability, truth)
    targets = find_components(is_target)
    pixels = probability.size if valid is None else int(np.count_nonzero(valid))
    wanted = {*thresholds, *(SWEEP if curves else ())}
    records = _count_levels(probability, is_target, targets, sorted(wanted), matching, distance)
    at = [records[threshold] for threshold in thresholds]
    above_zero = probability > np.float32(ABOVE_ZERO)
    counts = ImageCounts(
        pixels=pixels,
        target_pixels=int(targets.areas.sum()),
        hits=np.array([match.hits for match in at]),
        predicted=np.array([match.predicted for match in at]),
        target_areas=targets.areas.copy(),
        detected=np.array([match.detected for match in at]).reshape(len(at), len(targets.areas)),
        components=np.array([len(match.false) for match in at]),
        false_components=np.array([match.false.sum() for match in at]),
        false_pixels=np.array([match.false_pixels for match in at]),
        above_zero=(
            int(np.count_nonzero(above_zero & is_target.view(bool))),
            int(np.count_nonzero(above_zero)),
        ),
    )
    if curves:
        level = level_of(probability)
        level[is_target.view(bool)] += len(LEVELS) + 1
        both = np.bincount(
            level.ravel() if valid is None else level[valid], minlength=2 * len(LEVELS) + 2
        ).astype(np.int32)
        counts.other_levels, counts.target_levels = np.split(both, 2)
        swept = [records[threshold] for threshold in SWEEP]
        counts.sweep_detected = np.array([match.detected.sum() for match in swept])
        counts.sweep_false_pixels = np.array([match.false_pixels for match in swept])
    return counts


class _Record(NamedTuple):
    hits: int
    predicted: int
    detected: np.ndarray
    false: np.ndarray
    false_pixels: int


def _checked(
    probability: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Probabilities (H, W) float32 with 0 where ignored, targets {0, 1} uint8, what counts."""
    if probability.shape != truth.shape or probability.ndim != 2:
        raise UserError(
            f'the prediction is {_size(probability)}, the truth {_size(truth)}: expected the same '
            'size, that of the original image'
        )
    truth = np.ascontiguousarray(truth, dtype=np.uint8)
    probability = np.ascontiguousarray(probability, dtype=np.float32)
    if not (probability.min(initial=1) >= 0 and probability.max(initial=0) <= 1):
        raise UserError(
            f'the prediction goes from {probability.min():g} to {probability.max():g}: expected '
            'probabilities in [0, 1]'
        )
    if truth.max(initial=0) <= 1:
        return probability, truth, None
    valid = truth != IGNORED
    is_target = np.where(valid, truth, 0).astype(np.uint8)
    if is_target.max(initial=0) > 1:
        raise UserError(
            f'the truth has the value {is_target.max()}: expected 0 (background), 1 (target) and '
            f'{IGNORED} (ignored)'
        )
    return np.where(valid, probability, np.float32(0)), is_target, valid


def _size(array: np.ndarray) -> str:
    return ' x '.join(map(str, array.shape)) if array.ndim else 'a number'


def _count_levels(
    probability: np.ndarray,
    is_target: np.ndarray,
    targets: Components,
    thresholds: Sequence[float],
    matching: str,
    distance: float,
) -> dict[float, _Record]:
    """A record for each of the rising thresholds."""
    records: dict[float, _Record] = {}
    before = None
    for threshold in thresholds:
        mask = (probability > np.float32(threshold)).view(np.uint8)
        predicted = int(np.count_nonzero(mask))
        # What is above one threshold lies within what is above a lower one: equally many pixels
        # are the same pixels, which is common where a network is sure of itself.
        if before is None or predicted != before.predicted:
            components = find_components(mask)
            detected, serves = match_components(targets, components, matching, distance)
            before = _Record(
                hits=int(np.count_nonzero(mask & is_target)),
                predicted=predicted,
                detected=detected,
                false=~serves,
                false_pixels=int(components.areas[~serves].sum()),
            )
        records[threshold] = before
    return records
