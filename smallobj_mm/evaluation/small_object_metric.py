# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""One table of detection metrics with the sizes that matter for small objects."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from terminaltables import AsciiTable

from smallobj_mm.registry import METRICS
from smallobj_mm.utils.errors import UserError

from .coco_ap import AREA_RANGES, coco_ap
from .voc_ap import voc_ap

COLUMNS = ('AP50_voc', 'AP', 'AP50', 'AP75', 'AP_tiny', 'AP_small', 'AP_medium', 'AP_large')
#: By how many pixels a box may leave its image before that counts as a sign of wrong coordinates.
BORDER_TOLERANCE = 2.0
#: Fewer boxes than this say nothing about where boxes lie in general.
ENOUGH_BOXES = 20


@METRICS.register_module()
class SmallObjectMetric(BaseMetric):
    """VOC AP50 and COCO AP by size, together and per class.

    - AP50_voc: area under the precision-recall curve at IoU 0.5, Pascal VOC 2010 protocol, with
      continuous coordinates (:func:`smallobj_mm.evaluation.voc_ap.voc_ap`).
    - AP, AP50, AP75: COCO, mean over IoU 0.50:0.05:0.95, at 0.50 and at 0.75.
    - AP_tiny, AP_small, AP_medium, AP_large: COCO AP of objects with an area below 16², of 16² to
      32², 32² to 96² and above 96² pixels. COCO's own AP_small covers everything below 32², that
      is, tiny and small together. Areas are box areas in pixels of the original image.

    Ignored instances (``ignored_instances`` of the sample) are neither found nor missed. A
    detection that lies in one (COCO: as in a crowd region) does not count either.

    Ground truth and predictions have to be in pixels of the original image. mmdet's heads rescale
    predictions to it; annotations are in it when ``LoadAnnotations`` comes *after* ``Resize`` in
    the test pipeline. Where boxes show the opposite, an error or a warning says so.

    In a distributed run each image counts once: mmengine cuts off what the sampler padded, and an
    image that still comes twice is counted once with a warning.

    Metrics with no object to find are -1, as COCO has it, and '-' in the table.

    Args:
        classwise: Print a row for every class.
        max_dets: COCO metrics: detections that count for each image and class. Raise it along
            with the model's ``max_per_img`` where images have more than 100 objects of a class.
        ignore_regions: 'all': an ignored box concerns detections of every class (DontCare regions).
            'class': of its own class only (difficult objects as in Pascal VOC).
        collect_device: 'cpu' or 'gpu', where results of several processes are collected.
        prefix: Prefix of the names of the metrics, ``smallobj`` if None.

    Raises:
        UserError: If an argument is none of the above; when used: if samples lack ground truth or
            predictions, labels lie outside the classes, boxes or scores are not finite, or the
            whole data set has no object.
    """

    default_prefix = 'smallobj'

    def __init__(
        self,
        classwise: bool = True,
        max_dets: int = 100,
        ignore_regions: str = 'all',
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if max_dets < 1:
            raise UserError(f'SmallObjectMetric: max_dets is {max_dets}, expected 1 or more')
        if ignore_regions not in ('all', 'class'):
            raise UserError(
                f'SmallObjectMetric: ignore_regions is {ignore_regions!r}, expected '
                "'all' or 'class'"
            )
        self.classwise = classwise
        self.max_dets = max_dets
        self.ignore_regions = ignore_regions

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the boxes of a batch.

        Args:
            data_batch: Not used; the signature is mmengine's.
            data_samples: Samples as dicts with ``pred_instances`` (bboxes (m, 4), scores (m,),
                labels (m,)), ``gt_instances`` and, optionally, ``ignored_instances`` (bboxes
                (n, 4), labels (n,)), ``ori_shape`` (height, width), and the optional
                ``img_shape``, ``img_id`` and ``img_path``.
        """
        for sample in data_samples:
            name = sample.get('img_path') or f'image {sample.get("img_id", "?")}'
            if 'ori_shape' not in sample:
                raise UserError(
                    f"SmallObjectMetric: {name} has no 'ori_shape': add it to meta_keys of "
                    'PackDetInputs in the test pipeline'
                )
            truth = _instances(sample, 'gt_instances', name)
            predictions = _instances(sample, 'pred_instances', name, ('bboxes', 'labels', 'scores'))
            ignored = (
                _instances(sample, 'ignored_instances', name)
                if len(sample.get('ignored_instances') or ())
                else dict(bboxes=np.zeros((0, 4)), labels=np.zeros(0, dtype=np.int64))
            )
            self.results.append(
                dict(
                    key=(sample.get('img_id'), sample.get('img_path')),
                    name=name,
                    ori_shape=tuple(sample['ori_shape'][:2]),
                    img_shape=tuple(sample.get('img_shape', sample['ori_shape'])[:2]),
                    boxes=predictions['bboxes'],
                    scores=predictions['scores'],
                    labels=predictions['labels'],
                    gt_boxes=truth['bboxes'],
                    gt_labels=truth['labels'],
                    ignore_boxes=ignored['bboxes'],
                    ignore_labels=ignored['labels'],
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute and print the table.

        Args:
            results: What :meth:`process` kept, each image of the data set once.

        Returns:
            The overall metrics by name, without prefix.
        """
        logger = MMLogger.get_current_instance()
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise UserError(
                "SmallObjectMetric: the data set's metainfo has no 'classes': give the classes in "
                'metainfo of the data set'
            )
        images = _without_repeats(results, logger)
        num_objects = sum(len(image['gt_labels']) for image in images)
        if num_objects == 0:
            raise UserError(
                f'SmallObjectMetric: no ground-truth object in {len(images)} images: check the '
                'annotation files and the classes of the evaluated data set'
            )
        for image in images:
            _check_labels(image, len(classes))
        _check_coordinates(images, logger)

        ignore_all = self.ignore_regions == 'all'
        per_class = dict(AP50_voc=voc_ap(images, len(classes), 0.5, ignore_all))
        per_class.update(coco_ap(images, len(classes), self.max_dets, ignore_all))
        overall = {name: _mean(per_class[name]) for name in COLUMNS}
        logger.info('\n' + self._table(images, classes, per_class, overall))
        return overall

    def _table(
        self, images: list[dict], classes: Sequence[str], per_class: dict, overall: dict
    ) -> str:
        num_classes = len(classes)
        objects, detections = (
            np.bincount(np.concatenate([image[key] for image in images]), minlength=num_classes)
            for key in ('gt_labels', 'labels')
        )
        rows = [['class', 'objects', 'detections', *COLUMNS]]
        if self.classwise:
            rows += [
                [name, objects[index], detections[index]]
                + [_cell(per_class[column][index]) for column in COLUMNS]
                for index, name in enumerate(classes)
            ]
        rows.append(
            ['mean of classes', objects.sum(), detections.sum()]
            + [_cell(overall[column]) for column in COLUMNS]
        )
        boxes = np.concatenate([image['gt_boxes'] for image in images])
        areas = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64).prod(axis=1)
        sizes = ', '.join(
            f'{name} {int(((areas >= low) & (areas <= high)).sum())}'
            for name, (low, high) in AREA_RANGES.items()
        )
        regions = sum(len(image['ignore_boxes']) for image in images)
        scope = 'every class' if self.ignore_regions == 'all' else 'their own class'
        notes = [
            f'{len(images)} images; objects by area: {sizes}; {regions} ignored boxes, for '
            f'{scope}.',
            'AP50_voc: Pascal VOC, area under the curve at IoU 0.5. AP: COCO, mean of IoU '
            '0.50:0.95; AP50, AP75 at one IoU.',
            'AP by area in px² of the original image: tiny < 16², small 16² to 32² (COCO calls '
            'both together small), medium 32² to 96², large > 96².',
            f'COCO metrics count {self.max_dets} detections for each image and class. '
            "'-': no such object.",
        ]
        return '\n'.join([AsciiTable(rows).table, *notes])


def _cell(value: float) -> str:
    return '-' if np.isnan(value) or value < 0 else f'{value:.4f}'


def _mean(values: np.ndarray) -> float:
    """Mean over the classes that have objects, -1 if none has."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else -1.0


def _instances(
    sample: dict, field: str, name: str, keys: tuple[str, ...] = ('bboxes', 'labels')
) -> dict[str, np.ndarray]:
    """Arrays of one kind of instances: bboxes (n, 4) float64, labels (n,) int64, scores (n,)."""
    instances = sample.get(field)
    if instances is None:
        instances = {}
    missing = [key for key in keys if key not in instances]
    if missing:
        advice = (
            'the model has to return predictions'
            if field == 'pred_instances'
            else 'put LoadAnnotations(with_bbox=True) after Resize into the test pipeline'
        )
        raise UserError(
            f'SmallObjectMetric: {name} has no {", ".join(missing)} in {field}: {advice}'
        )
    types = dict(bboxes=np.float64, labels=np.int64, scores=np.float64)
    arrays = {}
    for key in keys:
        value = instances[key]
        value = getattr(value, 'tensor', value)
        value = value.detach().cpu().numpy() if hasattr(value, 'detach') else value
        array = np.asarray(value, dtype=types[key])
        arrays[key] = array.reshape(-1, 4) if key == 'bboxes' else array.reshape(-1)
    if len({len(array) for array in arrays.values()}) != 1:
        lengths = ', '.join(f'{len(array)} {key}' for key, array in arrays.items())
        raise UserError(
            f'SmallObjectMetric: {name} has {lengths} in {field}: expected equally many'
        )
    for key in ('bboxes', 'scores'):
        if key in arrays and not np.isfinite(arrays[key]).all():
            raise UserError(
                f'SmallObjectMetric: {name} has {key} in {field} that are not finite: check the '
                'weights or the annotations'
            )
    return arrays


def _without_repeats(results: list[dict], logger: MMLogger) -> list[dict]:
    """The images, each once; images without id and path are all taken as different."""
    seen: set = set()
    images = []
    for image in results:
        if image['key'] in seen:
            continue
        if image['key'] != (None, None):
            seen.add(image['key'])
        images.append(image)
    if len(images) < len(results):
        logger.warning(
            f'SmallObjectMetric: {len(results) - len(images)} of {len(results)} results are of an '
            'image that had been there before (same img_id and img_path) and are left out'
        )
    return images


def _check_labels(image: dict, num_classes: int) -> None:
    for key, what in (
        ('gt_labels', 'ground truth'),
        ('labels', 'a prediction'),
        ('ignore_labels', 'ignored box'),
    ):
        labels = image[key]
        wrong = labels[(labels < 0) | (labels >= num_classes)]
        if len(wrong):
            raise UserError(
                f'SmallObjectMetric: {image["name"]} has {what} of class {wrong[0]}, expected 0 to '
                f"{num_classes - 1}: make the data set's classes and the head's num_classes agree"
            )


def _check_coordinates(images: list[dict], logger: MMLogger) -> None:
    """Look for ground truth in the coordinates of the resized image.

    Boxes that leave an image which was enlarged, but not its enlargement, are proof enough for an
    error. For images that were shrunk there is only the suspicion that no box lies in the part
    that the resized coordinates could not reach, which is worth a warning.
    """
    ends, original, resized = [], [], []
    for image in images:
        ends.append(image['gt_boxes'][:, [3, 2]])
        original.append(np.broadcast_to(image['ori_shape'], ends[-1].shape))
        resized.append(np.broadcast_to(image['img_shape'], ends[-1].shape))
    ends, original, resized = (np.concatenate(part) for part in (ends, original, resized))
    enlarged = (resized > original + BORDER_TOLERANCE).any(axis=1)
    outside = (ends > original + BORDER_TOLERANCE).any(axis=1)
    fits = (ends <= resized + BORDER_TOLERANCE).all(axis=1)
    if (enlarged & fits).sum() and (enlarged & outside & fits).sum() > 0.05 * enlarged.sum():
        raise UserError(
            f'SmallObjectMetric: {int((enlarged & outside).sum())} of {int(enlarged.sum())} '
            'ground-truth boxes lie outside the original image: they are in pixels of the resized '
            'one; put LoadAnnotations after Resize in the test pipeline'
        )
    shrunk = (resized < original - BORDER_TOLERANCE).all(axis=1)
    if shrunk.sum() >= ENOUGH_BOXES and fits[shrunk].all():
        logger.warning(
            'SmallObjectMetric: all ground-truth boxes lie in the part of the image that '
            'coordinates of the resized image can reach: if LoadAnnotations comes before Resize '
            'in the test pipeline, put it after'
        )
