# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What was found in an image, as one table for detectors and segmentors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from mmengine.structures import BaseDataElement, InstanceData

from smallobj_mm.evaluation.irstd_counts import find_components
from smallobj_mm.utils.errors import UserError


class Targets(NamedTuple):
    """n targets of an image, in pixels; pixel i reaches from i to i + 1.

    Attributes:
        bboxes: Array (n, 4) float32, x1, y1, x2, y2.
        centroids: Array (n, 2) float32, x and y: the mean of a mask's pixels, the middle of a box.
        areas: Array (n,) float32, pixels of a mask, area of a box.
        scores: Array (n,) float32 in [0, 1]: a detector's, or the highest probability of a mask's
            pixels, which does not depend on the threshold that the mask is cut out with.
        labels: Array (n,) int64, of the class.
    """

    bboxes: np.ndarray
    centroids: np.ndarray
    areas: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def take(self, index: np.ndarray | slice) -> Targets:
        """Some of them."""
        return Targets(*(values[index] for values in self))


def mask_targets(mask: np.ndarray, probability: np.ndarray, label: int = 1) -> Targets:
    """The 8-connected components of a mask as targets, best first.

    Of equal scores that comes first whose best pixel a scan row by row meets first. So a lower
    threshold of the mask adds targets to a list, or joins some, and changes no score.

    Args:
        mask: Array (H, W), not 0 where a target is.
        probability: Array (H, W) with values in [0, 1].
        label: Class of all of them.

    Returns:
        The targets.
    """
    components = find_components(np.ascontiguousarray(mask != 0).view(np.uint8))
    rows, columns = np.nonzero(components.labels)
    index = components.labels[rows, columns] - 1
    number = len(components.areas)
    low = np.full((2, number), max(mask.shape), dtype=np.float32)
    high = np.zeros((2, number), dtype=np.float32)
    for axis, values in enumerate((columns, rows)):
        np.minimum.at(low[axis], index, values)
        np.maximum.at(high[axis], index, values + 1)
    areas = components.areas.astype(np.float32)
    values = np.asarray(probability[rows, columns], dtype=np.float32)
    # The pixels in rising order of their probability, of equal ones from the last in the scan: the
    # last assignment to a repeated index stays.
    rising = np.lexsort((-np.arange(len(values)), values))
    best = np.zeros(number, dtype=np.int64)
    best[index[rising]] = rising
    scores = values[best]
    order = np.lexsort((best, -scores))
    bboxes = np.concatenate([low, high]).T.astype(np.float32)
    # find_components counts from the middle of the first pixel.
    centroids = (components.centroids + 0.5).astype(np.float32)
    labels = np.full(number, label, dtype=np.int64)
    return Targets(bboxes[order], centroids[order], areas[order], scores[order], labels)


def box_targets(bboxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> Targets:
    """Detections as targets, in their order.

    Args:
        bboxes: Array (n, 4), x1, y1, x2, y2 in px.
        scores: Array (n,).
        labels: Array (n,).
    """
    bboxes = np.asarray(bboxes, dtype=np.float32).reshape(-1, 4)
    low, high = bboxes[:, :2], bboxes[:, 2:]
    areas = np.maximum(high - low, 0).prod(axis=1)
    scores = np.asarray(scores, dtype=np.float32)
    return Targets(bboxes, (low + high) / 2, areas, scores, np.asarray(labels, dtype=np.int64))


def find_targets(sample: BaseDataElement) -> Targets:
    """The targets of a result of :class:`~smallobj_mm.inference.SmallObjectInferencer`.

    Args:
        sample: ``DetDataSample`` or ``SegDataSample`` with ``pred_instances``.

    Raises:
        UserError: It has none.
    """
    instances = sample.get('pred_instances')
    if instances is None:
        raise UserError(
            'data sample: no pred_instances, expected a result of SmallObjectInferencer'
        )
    if 'centroids' not in instances:
        return box_targets(*(_array(instances[key]) for key in ('bboxes', 'scores', 'labels')))
    return Targets(*(_array(instances[key]) for key in Targets._fields))


def as_instances(targets: Targets) -> InstanceData:
    """Targets as ``pred_instances`` of a data sample: tensors under the same names."""
    return InstanceData(**{k: torch.from_numpy(v) for k, v in targets._asdict().items()})


def _array(values: object) -> np.ndarray:
    values = getattr(values, 'tensor', values)
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
