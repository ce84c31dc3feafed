# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""COCO average precision by size of object, through pycocotools."""

from __future__ import annotations

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

#: Object areas in pixels² of the original image, both ends included. COCO's own AP_small covers
#: everything up to 32²; here it is split at 16², so that AP_small starts there.
AREA_RANGES = {
    'all': (0.0, 1e10),
    'tiny': (0.0, float(np.nextafter(16.0**2, 0))),
    'small': (16.0**2, float(np.nextafter(32.0**2, 0))),
    'medium': (32.0**2, 96.0**2),
    'large': (96.0**2, 1e10),
}


def _boxes_to_xywh(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) as x y w h, and their areas (n,), float64."""
    boxes = boxes.astype(np.float64)
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2], sides], axis=1), sides.prod(axis=1)


def _records(index: int, boxes: np.ndarray, labels: np.ndarray, crowd: int) -> list[dict]:
    rows, areas = _boxes_to_xywh(boxes)
    return [
        dict(image_id=index, bbox=row, area=area, category_id=label, iscrowd=crowd)
        for row, area, label in zip(rows.tolist(), areas.tolist(), labels.tolist())
    ]


def _ground_truth(index: int, image: dict, num_classes: int, ignore_all: bool) -> list[dict]:
    boxes, labels = image['ignore_boxes'], image['ignore_labels']
    if ignore_all:
        labels = np.tile(np.arange(num_classes), len(boxes))
        boxes = np.repeat(boxes, num_classes, axis=0)
    return _records(index, image['gt_boxes'], image['gt_labels'], 0) + _records(
        index, boxes, labels, 1
    )


def _detections(index: int, image: dict) -> list[dict]:
    records = _records(index, image['boxes'], image['labels'], 0)
    return [dict(row, score=score) for row, score in zip(records, image['scores'].tolist())]


def _coco(num_images: int, num_classes: int, annotations: list[dict]) -> COCO:
    """A COCO object in memory; annotation ids start at 1, since pycocotools takes 0 for 'none'."""
    coco = COCO()
    coco.dataset = dict(
        images=[dict(id=index) for index in range(num_images)],
        categories=[dict(id=index, name=str(index)) for index in range(num_classes)],
        annotations=[dict(row, id=number) for number, row in enumerate(annotations, start=1)],
    )
    coco.createIndex()
    return coco


def coco_ap(
    images: list[dict], num_classes: int, max_dets: int = 100, ignore_all: bool = True
) -> dict[str, np.ndarray]:
    """COCO average precision of every class, by overlap and by size.

    An ignored box enters as a crowd region, which takes in any number of detections that lie in it
    by the overlap in question; with ``ignore_all`` it enters once for every class.

    Source: Lin et al., "Microsoft COCO", ECCV 2014, and its reference program pycocotools.

    Args:
        images: Dicts with ``boxes`` (m, 4), ``scores`` (m,), ``labels`` (m,), ``gt_boxes`` (n, 4),
            ``gt_labels`` (n,), ``ignore_boxes`` (k, 4), ``ignore_labels`` (k,).
        num_classes: Number of classes.
        max_dets: Detections that count for each image and class, by falling score.
        ignore_all: Ignored boxes concern every class, not only their own.

    Returns:
        Arrays (num_classes,) by the names AP, AP50, AP75, AP_tiny, AP_small, AP_medium and
        AP_large; nan for a class without objects of the kind.
    """
    truth: list[dict] = []
    detections: list[dict] = []
    for index, image in enumerate(images):
        truth += _ground_truth(index, image, num_classes, ignore_all)
        detections += _detections(index, image)
    # pycocotools prints its progress; the table says what there is to say.
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(
            _coco(len(images), num_classes, truth),
            _coco(len(images), num_classes, detections),
            'bbox',
        )
        evaluation.params.maxDets = [max_dets]
        evaluation.params.areaRng = [list(limits) for limits in AREA_RANGES.values()]
        evaluation.params.areaRngLbl = list(AREA_RANGES)
        evaluation.evaluate()
        evaluation.accumulate()
    # (overlaps, recalls, classes, areas, 1); -1 where a class has no such object, for all recalls.
    precision = evaluation.eval['precision'][..., 0]
    precision = np.where(precision < 0, np.nan, precision)
    overlaps = list(np.round(evaluation.params.iouThrs, 2))
    by_area = precision.mean(axis=(0, 1))
    result = dict(
        AP=by_area[:, 0],
        AP50=precision[overlaps.index(0.5), :, :, 0].mean(axis=0),
        AP75=precision[overlaps.index(0.75), :, :, 0].mean(axis=0),
    )
    for position, name in enumerate(AREA_RANGES):
        if position:
            result[f'AP_{name}'] = by_area[:, position]
    return result
