# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A small head, maps and targets for its tests."""

import torch
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

import smallobj_mm  # noqa: F401
from smallobj_mm.registry import MODELS

SIZE = 64  # px
STRIDES = (8, 16, 32)
ANCHORS = [
    [(6, 6), (8, 12), (14, 10)],
    [(16, 24), (24, 16), (32, 32)],
    [(48, 40), (64, 64), (90, 99)],
]
TEST_CFG = dict(
    score_thr=0.1,
    nms=dict(type='nms', iou_threshold=0.65),
    nms_pre=1000,
    max_per_img=100,
    multi_label=True,
)


def make_head(num_classes=3, **options):
    init_default_scope('mmdet')
    return MODELS.build(
        dict(
            type='DecoupledCrossHead',
            num_classes=num_classes,
            img_size=SIZE,
            head_module=dict(type='DecoupledCrossHeadModule', in_channels=[8, 8, 8]),
            prior_generator=dict(
                type='mmdet.YOLOAnchorGenerator', base_sizes=ANCHORS, strides=STRIDES
            ),
            test_cfg=dict(TEST_CFG),
            **options,
        )
    )


def raw_maps(num_classes=3, images=2, size=SIZE, fill=None, **kwargs):
    shapes = [(images, 3 * (5 + num_classes), size // s, size // s) for s in STRIDES]
    if fill is not None:
        return [torch.full(s, float(fill), **kwargs) for s in shapes]
    return [torch.randn(s).requires_grad_() for s in shapes]


def instances(boxes, labels=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.zeros(len(boxes)) if labels is None else torch.tensor(labels)
    return InstanceData(bboxes=boxes, labels=labels.long())


def random_instances(count, num_classes=3, size=SIZE):
    low = torch.rand(count, 2) * (size - 24)
    boxes = torch.cat([low, low + 4 + torch.rand(count, 2) * 20], dim=1)
    return InstanceData(bboxes=boxes, labels=torch.randint(num_classes, (count,)))


def sample(truth, ignored=None, size=SIZE, **meta):
    data = DetDataSample(metainfo=dict(img_shape=(size, size), ori_shape=(size, size), **meta))
    data.gt_instances = truth
    data.ignored_instances = ignored if ignored is not None else instances([])
    return data
