# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From the counts of images to the metrics of a set."""

from __future__ import annotations

import math
from typing import Any, Sequence

import numpy as np

from smallobj_mm.utils.errors import UserError

from .irstd_counts import LEVELS, MATCH_DISTANCE, MATCHINGS, SWEEP, ImageCounts

EMPTIES = ('one', 'zero', 'skip')
#: Name -> smallest and largest area in pixels; the limits are the 10th, 50th and 90th percentile
#: of the areas in NUAA-SIRST.
SIZES = {'<=9': (1, 9), '10-20': (10, 20), '21-66': (21, 66), '>66': (67, math.inf)}


def check_options(who: str, thresholds: Sequence[float], matching: str, empty: str) -> None:
    """Refuse what cannot be evaluated.

    Raises:
        UserError: A threshold, ``matching`` or ``empty`` is none of those that there are.
    """
    wrong = [threshold for threshold in thresholds if not 0 <= threshold < 1]
    if wrong or not len(thresholds) or len(set(thresholds)) < len(thresholds):
        raise UserError(
            f'{who}: thresholds are {list(thresholds)}, expected different numbers in [0, 1)'
        )
    for name, value, known in (('matching', matching, MATCHINGS), ('empty', empty, EMPTIES)):
        if value not in known:
            raise UserError(f'{who}: {name} is {value!r}, expected one of {", ".join(known)}')


def evaluate_images(
    images: Sequence[ImageCounts],
    thresholds: Sequence[float],
    matching: str = 'first',
    empty: str = 'one',
    distance: float = MATCH_DISTANCE,
    with_curves: bool = True,
    authors: bool = False,
) -> dict[str, Any]:
    """Everything about a set of counted images.

    Args:
        images: Counted with the same ``thresholds``, ``matching`` and ``distance``.
        thresholds: See :func:`~smallobj_mm.evaluation.irstd_counts.count_image`.
        matching: Kept in the result.
        empty: See :func:`~smallobj_mm.evaluation.irstd_summary.summarize`.
        distance: Kept in the result, in pixels.
        with_curves: Whether there is an entry ``curves``.
        authors: Whether there is an entry ``authors``.

    Returns:
        The metrics by threshold ('0.5'), and the entries ``settings``, ``curves`` and ``authors``.
    """
    result: dict[str, Any] = summarize(images, thresholds, empty)
    result['settings'] = dict(
        thresholds=list(thresholds), matching=matching, empty=empty, match_distance=distance
    )
    if with_curves:
        result['curves'] = curves(images)
    if authors:
        result['authors'] = authors_figures(images)
    return result


def summarize(
    images: Sequence[ImageCounts], thresholds: Sequence[float], empty: str = 'one'
) -> dict[str, dict[str, Any]]:
    """The metrics at each threshold.

    Args:
        images: The images of the set, counted at ``thresholds``.
        thresholds: As given to :func:`~smallobj_mm.evaluation.irstd_counts.count_image`.
        empty: What an image without target and without prediction adds to nIoU: 'one', 'zero', or
            'skip' for nothing.

    Returns:
        By threshold as text ('0.5'): IoU, nIoU, Pd, Fa, precision, recall and F1 as
        :mod:`~smallobj_mm.evaluation.irstd_table` defines them, the counts ``images``,
        ``targets``, ``detected``, ``components``, ``false_components``, ``false_pixels``,
        ``all_pixels``, ``true_positives``, ``false_positives`` and ``false_negatives``, and
        ``Pd_by_size``, a dict by size with targets, detected and Pd. nan where there is nothing
        to divide by.
    """
    return {
        threshold_name(threshold): _at(images, index, empty)
        for index, threshold in enumerate(thresholds)
    }


def threshold_name(threshold: float) -> str:
    """A threshold as the key of its metrics."""
    return f'{threshold:.10g}'


def _at(images: Sequence[ImageCounts], index: int, empty: str) -> dict[str, Any]:
    hits, predicted, true = (
        np.array(values, dtype=np.int64)
        for values in zip(*((image.hits[index], image.predicted[index], image.target_pixels)
                            for image in images))
    )  # fmt: skip
    areas = np.concatenate([image.target_areas for image in images])
    detected = np.concatenate([image.detected[index] for image in images])
    false_pixels = int(sum(image.false_pixels[index] for image in images))
    all_pixels = sum(image.pixels for image in images)
    tp, fp, fn = int(hits.sum()), int((predicted - hits).sum()), int((true - hits).sum())
    return dict(
        IoU=ratio(tp, tp + fp + fn),
        nIoU=_mean(image_iou(images, index, empty)),
        Pd=ratio(int(detected.sum()), len(areas)),
        Fa=ratio(false_pixels, all_pixels),
        # Who predicts nothing is not precise.
        precision=ratio(tp, tp + fp) if tp + fp else 0.0,
        recall=ratio(tp, tp + fn),
        F1=ratio(2 * tp, 2 * tp + fp + fn),
        images=len(images),
        targets=len(areas),
        detected=int(detected.sum()),
        components=int(sum(image.components[index] for image in images)),
        false_components=int(sum(image.false_components[index] for image in images)),
        false_pixels=false_pixels,
        all_pixels=all_pixels,
        true_positives=tp,
        false_positives=fp,
        false_negatives=fn,
        Pd_by_size=_by_size(areas, detected),
    )


def image_iou(images: Sequence[ImageCounts], index: int, empty: str) -> np.ndarray:
    """IoU of every image at one threshold; nan, one or zero where there is nothing at all."""
    hits = np.array([image.hits[index] for image in images], dtype=np.float64)
    union = np.array([image.predicted[index] + image.target_pixels for image in images]) - hits
    nothing = dict(one=1.0, zero=0.0, skip=math.nan)[empty]
    return np.divide(hits, union, out=np.full_like(hits, nothing), where=union > 0)


def _by_size(areas: np.ndarray, detected: np.ndarray) -> dict[str, dict[str, float]]:
    table = {}
    for name, (low, high) in SIZES.items():
        inside = (areas >= low) & (areas <= high)
        targets, detections = int(inside.sum()), int(detected[inside].sum())
        table[name] = dict(targets=targets, detected=detections, Pd=ratio(detections, targets))
    return table


def ratio(part: float, whole: float) -> float:
    """The quotient, nan if there is nothing to divide by."""
    return part / whole if whole else math.nan


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else math.nan


def authors_figures(images: Sequence[ImageCounts]) -> dict[str, float]:
    """The figures that the evaluation script of iSmallNet's authors prints.

    The map of 8 bits counts as predicted wherever it is above 0. iou, precision and recall are
    means over the images of quotients that are 0 where there is nothing to divide by; f1 comes
    from the two means; md (missed) and fa (false alarms) are means over the images of missed and
    of falsely predicted pixels among all pixels, so neither is 1 - Pd or Fa.

    Args:
        images: The images of the set.

    Returns:
        iou, precision, recall, f1, md and fa.
    """
    hits, predicted = np.array([image.above_zero for image in images], dtype=np.float64).T
    true = np.array([image.target_pixels for image in images], dtype=np.float64)
    pixels = np.array([image.pixels for image in images], dtype=np.float64)

    def mean(part: np.ndarray, whole: np.ndarray) -> float:
        return float(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0).mean())

    precision, recall = mean(hits, predicted), mean(hits, true)
    both = precision + recall
    return dict(
        iou=mean(hits, predicted + true - hits),
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / both if both else 0.0,
        md=mean(true - hits, pixels),
        fa=mean(predicted - hits, pixels),
    )


def sum_counts(parts: Sequence[np.ndarray | None]) -> np.ndarray:
    """Sum over images of arrays that are only there if they were counted with ``curves=True``.

    Args:
        parts: Arrays of one shape.

    Returns:
        Their sum, int64.

    Raises:
        UserError: If one is None.
    """
    counted = [part for part in parts if part is not None]
    if len(counted) < len(parts):
        raise UserError(
            f'{len(parts) - len(counted)} of {len(parts)} images are counted without curves=True'
        )
    return np.asarray(np.sum(counted, axis=0, dtype=np.int64))


def curves(images: Sequence[ImageCounts]) -> dict[str, Any]:
    """ROC, precision-recall and Pd-Fa curves of the set.

    Args:
        images: The images, counted with ``curves=True``.

    Returns:
        ``AUC``: area under the ROC curve by trapezoids, the corner (0, 0) included; ``AP``: area
        under the precision-recall curve by steps. ``ROC``: lists threshold, FPR, TPR; ``PR``:
        threshold, recall, precision, where anything is predicted; ``Pd_Fa``: threshold, Pd, Fa.
        Thresholds rise. nan where there is nothing to divide by.
    """
    target = sum_counts([image.target_levels for image in images])
    background = sum_counts([image.other_levels for image in images])
    # Above level k: what is above exactly k + 1 levels or more.
    hits, false = (np.cumsum(part[::-1])[::-1][1:] for part in (target, background))
    positives, negatives = int(target.sum()), int(background.sum())
    tpr, fpr = _divide(hits, positives), _divide(false, negatives)
    any_predicted = hits + false > 0
    precision = _divide(hits, np.maximum(hits + false, 1))
    steps = -np.diff(np.append(tpr, 0.0))
    num_targets = sum(len(image.target_areas) for image in images)
    detected = sum_counts([image.sweep_detected for image in images])
    false_pixels = sum_counts([image.sweep_false_pixels for image in images])
    return dict(
        AUC=_area(fpr, tpr),
        AP=float((steps * precision).sum()),
        ROC=dict(threshold=LEVELS.tolist(), FPR=fpr.tolist(), TPR=tpr.tolist()),
        PR=dict(
            threshold=LEVELS[any_predicted].tolist(),
            recall=tpr[any_predicted].tolist(),
            precision=precision[any_predicted].tolist(),
        ),
        Pd_Fa=dict(
            threshold=list(SWEEP),
            Pd=_divide(detected, num_targets).tolist(),
            Fa=_divide(false_pixels, sum(image.pixels for image in images)).tolist(),
        ),
    )


def _area(fpr: np.ndarray, tpr: np.ndarray) -> float:
    """Area under the curve from everything predicted to nothing, both ends included."""
    fpr, tpr = np.concatenate([[1.0], fpr, [0.0]]), np.concatenate([[1.0], tpr, [0.0]])
    return float((-np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2).sum())


def _divide(part: np.ndarray, whole: int | np.ndarray) -> np.ndarray:
    if np.ndim(whole) == 0 and not whole:
        return np.full(part.shape, math.nan)
    return part / whole


def without_nan(value: Any) -> Any:
    """The same with None for every nan: JSON has none."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value
