# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The post-processing that goes into files, against the heads' own."""

from types import SimpleNamespace

import pytest
import torch
from mmcv.ops import nms
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

import smallobj_mm  # noqa: F401
from smallobj_mm.deployment.postprocess import DetectionPostprocess, SegmentationPostprocess
from smallobj_mm.deployment.suppression import suppress
from smallobj_mm.registry import MODELS

STRIDES = (8, 16, 32)


def make_head(num_classes=3, **test_cfg):
    init_default_scope('mmdet')
    settings = dict(
        score_thr=0.3,
        nms=dict(type='nms', iou_threshold=0.5),
        nms_pre=1000,
        max_per_img=100,
        multi_label=True,
    )
    return MODELS.build(
        dict(
            type='DecoupledCrossHead',
            num_classes=num_classes,
            head_module=dict(type='DecoupledCrossHeadModule', in_channels=[8, 8, 8]),
            prior_generator=dict(
                type='mmdet.YOLOAnchorGenerator',
                base_sizes=[[(6, 7), (9, 12)], [(16, 24), (24, 16)], [(48, 40), (64, 64)]],
                strides=STRIDES,
            ),
            test_cfg={**settings, **test_cfg},
        )
    )


def make_maps(num_classes=3, size=(96, 64)):
    return [torch.randn(2, 2 * (5 + num_classes), size[0] // s, size[1] // s) for s in STRIDES]


@pytest.mark.parametrize(
    'classes, settings',
    [
        (3, {}),
        (1, {}),
        (3, dict(multi_label=False)),
        (3, dict(nms=dict(type='nms', iou_threshold=0.5, class_agnostic=True))),
        (3, dict(nms_pre=20)),
        (3, dict(max_per_img=7)),
        (3, dict(nms_pre=8, max_per_img=20)),
        (3, dict(score_thr=0.999)),
    ],
    ids=str,
)
def test_as_the_head(classes, settings):
    """Boxes, scores and labels of ``predict_by_feat``, behind them nothing."""
    head, maps = make_head(classes, **settings), make_maps(classes)
    images = torch.zeros(2, 3, 90, 61)  # smaller than what the network saw
    boxes, scores, labels = DetectionPostprocess(head)(maps, torch.zeros(2, 3, 96, 64), images)
    metas = [dict(img_shape=(90, 61))] * 2
    limit = head.test_cfg['max_per_img']
    assert boxes.shape == (2, limit, 4) and scores.shape == labels.shape == (2, limit)
    for index, expected in enumerate(head.predict_by_feat(maps, metas)):
        number = len(expected.scores)
        assert (number == 0) == (head.test_cfg['score_thr'] > 0.9)
        torch.testing.assert_close(boxes[index, :number], expected.bboxes)
        torch.testing.assert_close(scores[index, :number], expected.scores)
        assert torch.equal(labels[index, :number], expected.labels)
        assert not boxes[index, number:].any() and not scores[index, number:].any()
        assert (labels[index, number:] == -1).all()


@pytest.mark.parametrize('kind', ['RTMDetHead', 'RTMDetSepBNHead'])
@pytest.mark.parametrize(
    'settings',
    [{}, dict(nms_pre=20), dict(max_per_img=7), dict(score_thr=0.999), dict(min_bbox_size=12)],
    ids=str,
)
def test_as_a_head_of_distances(kind, settings):
    """mmdet's anchor-free heads, whose ``nms_pre`` is that of each level."""
    init_default_scope('mmdet')
    test = dict(score_thr=0.3, nms=dict(type='nms', iou_threshold=0.5), nms_pre=1000,
                max_per_img=100, min_bbox_size=0)  # fmt: skip
    head = MODELS.build(
        dict(
            type=f'mmdet.{kind}', num_classes=3, in_channels=8, feat_channels=8, stacked_convs=1,
            anchor_generator=dict(type='MlvlPointGenerator', offset=0, strides=STRIDES),
            bbox_coder=dict(type='DistancePointBBoxCoder'), norm_cfg=dict(type='BN'),
            with_objectness=False, test_cfg=ConfigDict({**test, **settings}),
        )
    )  # fmt: skip
    sizes = [(96 // s, 64 // s) for s in STRIDES]
    classes = [torch.randn(2, 3, *size) for size in sizes]
    sides = [torch.randn(2, 4, *size) * 8 + 6 for size in sizes]  # some boxes are inside out
    images = torch.zeros(2, 3, 90, 61)
    boxes, scores, labels = DetectionPostprocess(head)(
        classes + sides, torch.zeros(2, 3, 96, 64), images
    )
    metas = [dict(img_shape=(90, 61), scale_factor=(1.0, 1.0))] * 2
    for index, expected in enumerate(head.predict_by_feat(classes, sides, batch_img_metas=metas)):
        number = len(expected.scores)
        assert (number == 0) == (head.test_cfg['score_thr'] > 0.9)
        torch.testing.assert_close(boxes[index, :number], expected.bboxes)
        torch.testing.assert_close(scores[index, :number], expected.scores)
        assert torch.equal(labels[index, :number], expected.labels)
        assert (labels[index, number:] == -1).all() and not boxes[index, number:].any()


@pytest.mark.parametrize('number', [0, 1, 300])
def test_suppression_as_mmcv(number):
    """Empty boxes and equal scores included."""
    boxes = torch.rand(2, number, 4) * 60
    boxes[..., 2:] = boxes[..., :2] + torch.rand(2, number, 2) * 30
    boxes[:, ::9, 2:] = boxes[:, ::9, :2]
    scores = (torch.rand(2, number) * 40).round() / 40
    scores[:, 5:9] = -1
    keep = suppress(boxes, scores, 0.4, number)
    for image in range(2 if number else 0):
        there = (scores[image] >= 0).nonzero()[:, 0]
        _, expected = nms(boxes[image, there], scores[image, there], 0.4)
        assert torch.equal(keep[image].nonzero()[:, 0], there[expected].sort().values)


def test_masks():
    """The last map counts; the padding goes; a smaller map is enlarged."""
    head = SimpleNamespace(out_channels=1, threshold=0.3, align_corners=False)
    maps = [torch.zeros(2, 1, 32, 48), torch.randn(2, 1, 32, 48)]
    inputs, images = torch.zeros(2, 3, 32, 48), torch.zeros(2, 3, 30, 41)
    probability, mask = SegmentationPostprocess(head)(maps, inputs, images)
    torch.testing.assert_close(probability, maps[1][:, :, :30, :41].sigmoid())
    assert mask.dtype == torch.uint8 and torch.equal(mask, (probability > 0.3).to(torch.uint8))
    probability, _ = SegmentationPostprocess(head)([maps[1][:, :, ::2, ::2]], inputs, inputs)
    assert probability.shape == (2, 1, 32, 48)


def test_what_a_file_cannot_hold():
    head = make_head(nms=dict(type='soft_nms', iou_threshold=0.5))
    with pytest.raises(ValueError, match='expected type nms with iou_threshold'):
        DetectionPostprocess(head)
    with pytest.raises(ValueError, match='the head is a Identity, expected DecoupledCrossHead'):
        DetectionPostprocess(torch.nn.Identity())
    with pytest.raises(ValueError, match='out_channels=2, expected 1'):
        SegmentationPostprocess(SimpleNamespace(out_channels=2))
