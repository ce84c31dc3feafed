# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Average precision as Pascal VOC defines it, without a Python loop over boxes."""

from __future__ import annotations

import numpy as np


def pairwise_overlap(
    boxes: np.ndarray, other_boxes: np.ndarray, relative_to_boxes: bool = False
) -> np.ndarray:
    """Overlap of every box with every other.

    Args:
        boxes: Array (m, 4), x1 y1 x2 y2.
        other_boxes: Array (n, 4).
        relative_to_boxes: Divide the intersection by the area of the box in ``boxes`` instead of
            by the union.

    Returns:
        Array (m, n) float64; zero where the divisor is.
    """
    boxes = boxes.astype(np.float64)
    other_boxes = other_boxes.astype(np.float64)
    low = np.maximum(boxes[:, None, :2], other_boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], other_boxes[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    divisor = np.broadcast_to(areas[:, None], common.shape)
    if not relative_to_boxes:
        divisor = divisor + (other_boxes[:, 2:] - other_boxes[:, :2]).prod(axis=1) - common
    return np.divide(common, divisor, out=np.zeros_like(common), where=divisor > 0)


def average_precision(hits: np.ndarray, num_objects: int) -> float:
    """Area under the precision-recall curve, precision made monotonous (VOC 2010 and later).

    Args:
        hits: Bool array (m,), detections by falling score, true where one found an object.
        num_objects: Number of objects to find.

    Returns:
        The area in [0, 1], or nan if there are no objects.
    """
    if num_objects == 0:
        return float('nan')
    if not len(hits):
        return 0.0
    true_positives = np.cumsum(hits)
    precision = true_positives / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].sum() / num_objects)


def match_image(image: dict, iou_thr: float, ignore_all: bool) -> np.ndarray:
    """Judge the detections of one image.

    Each detection looks at the box of its own class that it overlaps most (objects and ignored
    ones together). If that overlap reaches the threshold, the detection with the highest score
    finds the object, later ones are false; one that met an ignored box does not count. A detection
    that meets nothing is false, unless it lies inside a region that is ignored for every class.

    Args:
        image: ``boxes`` (m, 4), ``scores`` (m,), ``labels`` (m,) of the detections,
            ``gt_boxes`` (n, 4), ``gt_labels`` (n,), ``ignore_boxes`` (k, 4) and
            ``ignore_labels`` (k,).
        iou_thr: Least overlap, also the least part of a detection that lies inside a region.
        ignore_all: Ignored boxes concern every class, not only their own.

    Returns:
        Int array (m,): 1 found an object, 0 false, -1 does not count.
    """
    labels, scores = image['labels'], image['scores']
    verdict = np.zeros(len(labels), dtype=np.int64)
    num_objects = len(image['gt_labels'])
    targets = np.concatenate([image['gt_boxes'], image['ignore_boxes']], axis=0)
    if not len(labels) or not len(targets):
        return verdict
    same = labels[:, None] == np.concatenate([image['gt_labels'], image['ignore_labels']])[None]
    if ignore_all:
        same[:, num_objects:] = True
    overlap = np.where(same, pairwise_overlap(image['boxes'], targets), -1.0)
    best = overlap.argmax(axis=1)
    met = overlap[np.arange(len(labels)), best] >= iou_thr
    verdict[met & (best >= num_objects)] = -1
    order = np.argsort(-scores, kind='stable')
    order = order[met[order] & (best[order] < num_objects)]
    first = np.unique(best[order], return_index=True)[1]
    verdict[order[first]] = 1
    if ignore_all and len(image['ignore_boxes']):
        inside = pairwise_overlap(image['boxes'], image['ignore_boxes'], relative_to_boxes=True)
        verdict[~met & (inside.max(axis=1) >= iou_thr)] = -1
    return verdict


def voc_ap(
    images: list[dict], num_classes: int, iou_thr: float = 0.5, ignore_all: bool = True
) -> np.ndarray:
    """VOC average precision of every class at one overlap.

    The area under the whole curve (VOC 2010 and later), with continuous coordinates: a box from 3
    to 5 is 2 px wide, not 3. Equals ``mmdet.evaluation.eval_map`` with ``eval_mode='area'`` and
    ``use_legacy_coordinate=False`` where no region is ignored for every class.

    Source: Everingham et al., "The Pascal Visual Object Classes Challenge: A Retrospective", 2015.

    Args:
        images: See :func:`match_image`.
        num_classes: Number of classes.
        iou_thr: Least overlap with an object.
        ignore_all: Ignored boxes concern every class, not only their own.

    Returns:
        Array (num_classes,), nan for a class without objects.
    """
    verdicts = np.concatenate([match_image(image, iou_thr, ignore_all) for image in images])
    scores = np.concatenate([image['scores'] for image in images])
    labels = np.concatenate([image['labels'] for image in images])
    objects = np.bincount(
        np.concatenate([image['gt_labels'] for image in images]), minlength=num_classes
    )
    order = np.argsort(-scores, kind='stable')
    order = order[verdicts[order] >= 0]
    hits, labels = verdicts[order] == 1, labels[order]
    return np.array(
        [average_precision(hits[labels == index], objects[index]) for index in range(num_classes)]
    )
