# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from smallobj_mm.evaluation import SmallObjectMetric


def random_image(rng, index, num_classes=3, count=10, ignored=2):
    """Objects, noisy detections of most of them, doubles and false ones; all scores differ."""
    corners = rng.uniform(0, 480, size=(count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(4, 120, size=(count, 2))], axis=1)
    labels = rng.integers(0, num_classes, size=count)
    found = np.concatenate(
        [
            boxes + rng.normal(0, 3, boxes.shape),
            boxes[:4] + rng.normal(0, 8, (4, 4)),
            boxes[:3] + 90,
        ]
    )
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    return image(
        index,
        boxes[ignored:],
        labels[ignored:],
        found,
        np.concatenate([labels, labels[:4], labels[:3]]),
        rng.random(len(found)),
        boxes[:ignored],
        labels[:ignored],
    )


def image(
    index,
    gt_boxes,
    gt_labels,
    boxes=(),
    labels=(),
    scores=None,
    ignore=(),
    ignore_labels=None,
    ori_shape=(640, 640),
    img_shape=(640, 640),
):
    """One evaluated image as the metric's process() gets it."""
    sample = DetDataSample(
        metainfo=dict(
            img_id=index, img_path=f'{index}.png', ori_shape=ori_shape, img_shape=img_shape
        )
    )
    scores = np.linspace(0.9, 0.5, len(boxes)) if scores is None else scores
    ignore_labels = np.zeros(len(ignore)) if ignore_labels is None else ignore_labels

    def tensors(values, names):
        boxes, labels = values[:2]
        fields = dict(
            bboxes=torch.tensor(np.asarray(boxes, dtype=np.float32).reshape(-1, 4)),
            labels=torch.tensor(np.asarray(labels, dtype=np.int64)),
        )
        if len(values) == 3:
            fields['scores'] = torch.tensor(np.asarray(values[2], dtype=np.float32))
        setattr(sample, names, InstanceData(**fields))

    tensors((gt_boxes, gt_labels), 'gt_instances')
    tensors((ignore, ignore_labels), 'ignored_instances')
    tensors((boxes, labels, scores), 'pred_instances')
    return sample.to_dict()


class Evaluation:
    """What the tests share."""

    image = staticmethod(image)
    random_image = staticmethod(random_image)

    @staticmethod
    def run(samples, classes=('a', 'b', 'c'), **kwargs):
        """The metrics of samples, without prefix."""
        metric = SmallObjectMetric(**kwargs)
        metric.dataset_meta = dict(classes=classes)
        metric.process({}, samples)
        values = metric.evaluate(len(samples))
        return {name.removeprefix('smallobj/'): value for name, value in values.items()}


@pytest.fixture(scope='session')
def evaluation():
    return Evaluation
