# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from smallobj_mm.models.task_modules import IgnoreRegionAssigner


@pytest.fixture(autouse=True)
def mmdet_scope():
    """Stock assigners look their own parts up there."""
    init_default_scope('mmdet')


SOFT = dict(type='mmdet.DynamicSoftLabelAssigner', topk=3)


def grid(side: int = 8, stride: int = 8) -> torch.Tensor:
    """Points (x, y, stride, stride) of a square map, row by row."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing='ij')
    points = torch.stack([x, y], dim=-1).reshape(-1, 2) * stride
    return torch.cat([points, torch.full_like(points, stride)], dim=1).float()


def assign(assigner, regions, priors=None, scores=None):
    """Result for an 8x8 map of points, each predicting a box of 16 px around itself."""
    points = grid()
    centers = points[:, :2]
    predictions = InstanceData(
        priors=points if priors is None else priors,
        bboxes=torch.cat([centers - 8, centers + 8], dim=1),
        scores=torch.zeros(len(points), 2) if scores is None else scores,
    )
    truth = InstanceData(bboxes=torch.tensor([[8.0, 8, 24, 24]]), labels=torch.tensor([1]))
    ignored = InstanceData(bboxes=torch.tensor(regions, dtype=torch.float32).reshape(-1, 4))
    return assigner.assign(predictions, truth, ignored)


def test_background_in_a_region_is_neither():
    assigner = IgnoreRegionAssigner(SOFT)
    plain = TASK_UTILS.build(SOFT)
    regions = [[16, 16, 40, 40], [56, 0, 64, 8]]
    before, after = assign(plain, regions), assign(assigner, regions)
    x, y = grid()[:, 0], grid()[:, 1]
    inside = (x >= 16) & (x < 40) & (y >= 16) & (y < 40) | (x >= 56) & (y < 8)
    assert (before.gt_inds > 0).any() and (before.gt_inds[inside] > 0).any()
    expected = torch.where(inside & (before.gt_inds == 0), -1, before.gt_inds)
    assert torch.equal(after.gt_inds, expected)
    assert torch.equal(after.labels, before.labels)
    assert torch.equal(after.max_overlaps, before.max_overlaps)


def test_without_regions_nothing_changes():
    expected = assign(TASK_UTILS.build(SOFT), [])
    assert torch.equal(assign(IgnoreRegionAssigner(SOFT), []).gt_inds, expected.gt_inds)


def test_centers_of_boxes():
    """Priors as corners: a box whose corner lies outside counts by its center."""
    points = grid()[:, :2]
    boxes = torch.cat([points - 20, points + 20], dim=1)
    inner = dict(type='mmdet.MaxIoUAssigner', pos_iou_thr=0.9, neg_iou_thr=0.9, min_pos_iou=0.9)
    result = assign(IgnoreRegionAssigner(inner, priors='boxes'), [[0, 0, 16, 16]], priors=boxes)
    assert (result.gt_inds == -1).nonzero().flatten().tolist() == [0, 1, 8, 9]


def test_boxes_in_mmdets_container():
    assigner = IgnoreRegionAssigner(SOFT)
    points = grid()
    predictions = InstanceData(priors=points, bboxes=points.repeat(1, 1), scores=torch.zeros(64, 2))
    ignored = InstanceData(bboxes=HorizontalBoxes([[0.0, 0, 8, 8]]))
    truth = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    result = assigner.assign(predictions, truth, ignored)
    assert (result.gt_inds == -1).nonzero().flatten().tolist() == [0]


def test_unknown_priors():
    with pytest.raises(ValueError, match="priors: found 'x', expected 'points' or 'boxes'"):
        IgnoreRegionAssigner(SOFT, priors='x')


def test_a_stock_head_learns_nothing_in_a_region(repo_root):
    """The classification loss of RTMDet's head has no gradient there."""
    from mmdet.structures import DetDataSample
    from mmengine.config import Config

    init_default_scope('mmdet')
    cfg = Config.fromfile(repo_root / 'configs/_base_/models/obsdm_t.py').model
    head = MODELS.build(dict(cfg.bbox_head, train_cfg=cfg.train_cfg, test_cfg=cfg.test_cfg))
    sizes = (32, 16, 8)
    scores = [torch.zeros(1, 4, s, s, requires_grad=True) for s in sizes]
    boxes = [torch.full((1, 4, s, s), 8.0) for s in sizes]
    truth = InstanceData(bboxes=torch.tensor([[4.0, 4, 20, 20]]), labels=torch.tensor([2]))
    region = InstanceData(bboxes=torch.tensor([[64.0, 64, 128, 128]]))
    meta = DetDataSample(metainfo=dict(img_shape=(128, 128), pad_shape=(128, 128))).metainfo
    losses = head.loss_by_feat(scores, boxes, [truth], [meta], [region])
    sum(losses['loss_cls']).backward()
    for size, score in zip(sizes, scores):
        touched = score.grad.abs().sum(dim=1)[0] > 0
        assert not touched[size // 2 :, size // 2 :].any() and touched[:, : size // 2].all()
