# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Losses of the head, on raw maps and inside the small detector."""

import inspect
import math
from types import SimpleNamespace

import pytest
import torch
from head_cases import (
    SIZE,
    STRIDES,
    TEST_CFG,
    instances,
    make_head,
    random_instances,
    raw_maps,
    sample,
)
from mmdet.models.dense_heads import YOLOV3Head
from mmdet.models.detectors import TwoStageDetector
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.structures import InstanceData
from torch.utils._python_dispatch import TorchDispatchMode

from smallobj_mm.models.dense_heads import DecoupledCrossHead


@pytest.mark.parametrize('num_classes', [1, 3])
@pytest.mark.parametrize('decoupled', [False, True])
@pytest.mark.parametrize('stride4', [False, True])
@pytest.mark.parametrize('counts', [(0, 0), (0, 3), (5, 2)])
def test_every_parameter_gets_a_gradient(
    build_detector, without_gradient, num_classes, decoupled, stride4, counts
):
    """With targets or none: distributed training stops at a parameter without one."""
    model = build_detector(num_classes, stride4, decoupled)
    model.train()
    samples = [sample(random_instances(n, num_classes)) for n in counts]
    losses = model(torch.rand(2, 3, SIZE, SIZE), samples, mode='loss')
    assert set(losses) == {'loss_bbox', 'loss_obj', 'loss_cls'}
    assert all(loss.isfinite() for loss in losses.values())
    if not any(counts):
        assert losses['loss_bbox'] == losses['loss_cls'] == 0 and losses['loss_obj'] > 0
    if num_classes == 1:
        assert losses['loss_cls'] == 0
    sum(losses.values()).backward()
    assert without_gradient(model) == []


def test_losses_of_one_target_by_hand():
    """Every term from its formula, for one target that fits one anchor of the first level."""
    head = make_head()
    maps = raw_maps(images=1)
    box = (20.0, 29.0, 22.2, 31.2)  # 2.2 px: within 4 of the anchor of 6 px alone
    losses = head.loss_by_feat(maps, [instances([box], [1])])
    # The target's center is (2.6375, 3.7625) in cells: own cell, the right and the lower one.
    near = [(3, 2), (3, 3), (4, 2)]
    rows = maps[0].detach().unflatten(1, (3, 8))[0]
    predictions = []
    for row, col in near:
        value = rows[0, :, row, col].double()
        s = value.sigmoid()
        center = [(2 * s[0] - 0.5 + col) * 8, (2 * s[1] - 0.5 + row) * 8]
        half = [(2 * s[2]) ** 2 * 3, (2 * s[3]) ** 2 * 3]
        decoded = [
            center[0] - half[0],
            center[1] - half[1],
            center[0] + half[0],
            center[1] + half[1],
        ]
        overlap = [
            max(0.0, min(decoded[i + 2], box[i + 2]) - max(decoded[i], box[i])) for i in (0, 1)
        ]
        inter = float(overlap[0] * overlap[1])
        iou = inter / float(4 * half[0] * half[1] + 2.2**2 - inter)
        p = (s[5:] * s[4]).sqrt()
        bce = -sum(p[c].log() if c == 1 else (1 - p[c]).log() for c in range(3))
        cost = float(bce) - 3 * math.log(iou + 1e-8)
        predictions.append((cost, iou, decoded, value, (row, col)))
    assert sum(p[1] for p in predictions) < 2  # so that k is 1: the cheapest alone
    _, iou, decoded, value, cell = min(predictions, key=lambda p: p[0])
    width, height = float(decoded[2] - decoded[0]), float(decoded[3] - decoded[1])
    offset = sum(
        ((float(decoded[i] + decoded[i + 2])) - box[i] - box[i + 2]) ** 2 / 4 for i in (0, 1)
    )
    hull = sum(
        (max(float(decoded[i + 2]), box[i + 2]) - min(float(decoded[i]), box[i])) ** 2
        for i in (0, 1)
    )
    v = 4 / math.pi**2 * (math.pi / 4 - math.atan(width / height)) ** 2
    ciou = iou - offset / hull - v * v / (1 - iou + v)
    assert losses['loss_bbox'].item() == pytest.approx(0.05 * (1 - ciou), rel=1e-4)

    one_hot = torch.tensor([0.0, 1.0, 0.0]).double()
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    expected = 0.3 * 3 / 80 * bce(value[5:], one_hot)
    assert losses['loss_cls'].item() == pytest.approx(expected.item(), rel=1e-4)

    expected = 0.0
    for level, (raw, weight) in enumerate(zip(maps, (4.0, 1.0, 0.4))):
        logits = raw.detach().unflatten(1, (3, 8))[:, :, 4].double()
        target = torch.zeros_like(logits)
        if level == 0:
            target[0, 0, cell[0], cell[1]] = max(ciou, 0)
        expected += 0.7 * (SIZE / 640) ** 2 * weight * bce(logits, target)
    assert losses['loss_obj'].item() == pytest.approx(float(expected), rel=1e-4)


def test_losses_sum_over_the_batch():
    """Twice the same image: twice the loss."""
    head, maps = make_head(), raw_maps(images=1)
    truth = random_instances(4)
    one = head.loss_by_feat(maps, [truth])
    two = head.loss_by_feat([m.repeat(2, 1, 1, 1) for m in maps], [truth, truth])
    for name, value in one.items():
        assert two[name].item() == pytest.approx(2 * value.item(), rel=1e-5)


def test_image_order_does_not_matter():
    head, maps = make_head(), raw_maps(images=3)
    truth = [random_instances(n) for n in (3, 0, 6)]
    first = head.loss_by_feat(maps, truth)
    second = head.loss_by_feat([m.flip(0) for m in maps], truth[::-1])
    for name, value in first.items():
        assert second[name].item() == pytest.approx(value.item(), rel=1e-5)


def test_box_types_give_the_same():
    head, maps = make_head(), raw_maps(images=1)
    truth = random_instances(4)
    wrapped = InstanceData(bboxes=HorizontalBoxes(truth.bboxes), labels=truth.labels)
    assert head.loss_by_feat(maps, [truth]) == head.loss_by_feat(maps, [wrapped])


def test_saturated_predictions_stay_finite():
    head = make_head()
    for value in (60, -60):
        maps = [m.requires_grad_() for m in raw_maps(fill=value)]
        losses = head.loss_by_feat(maps, [random_instances(5), random_instances(1)])
        sum(losses.values()).backward()
        assert all(loss.isfinite() for loss in losses.values())
        assert all(m.grad.isfinite().all() for m in maps)


def test_learning_from_one_image():
    """Raw maps that follow the gradient end at the targets."""
    head = make_head()
    truth = instances([(10, 12, 18, 20), (30, 34, 54, 50)], [0, 2])
    maps = [(m * 0 - 2).requires_grad_() for m in raw_maps(images=1, fill=0)]
    optimizer = torch.optim.Adam(maps, lr=0.1)
    for _ in range(120):
        optimizer.zero_grad()
        sum(head.loss_by_feat(maps, [truth]).values()).backward()
        optimizer.step()
    result = head.predict_by_feat(maps, [dict(img_shape=(SIZE, SIZE))])[0]
    for box, label in zip(truth.bboxes, truth.labels):
        best = (result.bboxes - box).abs().amax(dim=1).argmin()
        torch.testing.assert_close(result.bboxes[best], box, atol=1.5, rtol=0)
        assert result.labels[best] == label and result.scores[best] > 0.5


# ---- mmdet's interface


def features():
    return tuple(torch.rand(2, 8, SIZE // s, SIZE // s) for s in STRIDES)


def equal(first, second):
    return all(
        torch.equal(a.bboxes, b.bboxes)
        and torch.equal(a.scores, b.scores)
        and torch.equal(a.labels, b.labels)
        for a, b in zip(first, second)
    )


@pytest.mark.parametrize('proposal_cfg', [None, dict(TEST_CFG, score_thr=0.3, max_per_img=7)])
def test_losses_and_predictions_in_one_call(proposal_cfg):
    head, x = make_head().eval(), features()
    samples = [sample(random_instances(3), instances([(0, 0, 20, 20)])) for _ in range(2)]
    losses, predictions = head.loss_and_predict(x, samples, proposal_cfg=proposal_cfg)
    expected = head.loss(x, samples)
    assert list(losses) == list(expected)
    assert all(torch.equal(losses[name], expected[name]) for name in losses)
    maps, metas = head(x), [s.metainfo for s in samples]
    assert equal(predictions, head.predict_by_feat(maps, metas, cfg=proposal_cfg))
    if proposal_cfg is None:
        assert equal(predictions, head.predict(x, samples))
    else:
        assert max(len(p) for p in predictions) <= 7


def test_maps_one_by_one_as_the_base_class_hands_them_over():
    head, x = make_head().eval(), features()
    truth = [random_instances(3) for _ in range(2)]
    ignored = [instances([(0, 0, 20, 20)]), instances([])]
    metas = [dict(img_shape=(SIZE, SIZE), scale_factor=(2.0, 2.0))] * 2
    outs = head(x)
    assert isinstance(outs, tuple) and len(outs) == len(STRIDES)
    expected = head.loss_by_feat(
        outs,
        batch_gt_instances=truth,
        batch_img_metas=metas,
        batch_gt_instances_ignore=ignored,
    )
    for losses in (
        head.loss_by_feat(*outs, truth, metas, ignored),
        head.loss_by_feat(list(outs), truth, metas, ignored),
    ):
        assert losses == expected
    assert expected['loss_obj'] != head.loss_by_feat(*outs, truth, metas)['loss_obj']
    expected = head.predict_by_feat(outs, metas, rescale=True, with_nms=False)
    got = head.predict_by_feat(*outs, batch_img_metas=metas, rescale=True, with_nms=False)
    assert equal(got, expected)
    assert len(head.predict_by_feat(*outs, metas)[0]) <= len(got[0])


@pytest.mark.parametrize('name', ['loss_by_feat', 'predict_by_feat'])
def test_signatures_are_those_of_the_stock_head(name):
    """YOLOv3's head of mmdet takes one sequence of maps as well."""
    ours = list(inspect.signature(getattr(DecoupledCrossHead, name)).parameters)
    stock = list(inspect.signature(getattr(YOLOV3Head, name)).parameters)
    assert ours[0] == 'self' and ours[2:] == stock[2:]


def test_as_proposal_head_of_a_stock_two_stage_detector():
    """mmdet's two-stage detectors call ``loss_and_predict`` of their first head."""
    head, x, proposals = make_head(num_classes=1), features(), []
    detector = SimpleNamespace(
        with_rpn=True,
        extract_feat=lambda images: x,
        rpn_head=head,
        train_cfg=dict(rpn_proposal=dict(TEST_CFG, max_per_img=9)),
        test_cfg=SimpleNamespace(rpn=None),
        roi_head=SimpleNamespace(loss=lambda x, found, samples: proposals.extend(found) or {}),
    )
    samples = [sample(random_instances(3)) for _ in range(2)]
    losses = TwoStageDetector.loss(detector, torch.rand(2, 3, SIZE, SIZE), samples)
    assert set(losses) == {'rpn_loss_bbox', 'rpn_loss_obj', 'rpn_loss_cls'}
    assert [len(p) for p in proposals] == [9, 9]


# ---- regions to ignore


def objectness_gradients(head, maps, truth, ignored):
    grads = torch.autograd.grad(head.loss_by_feat(maps, truth, None, ignored)['loss_obj'], maps)
    return [g.unflatten(1, (3, -1))[:, :, 4] for g in grads]  # (N, A, H, W)


def test_regions_to_ignore_are_no_background():
    """No gradient in cells whose center lies in a region, the same gradient elsewhere."""
    head, maps = make_head(), raw_maps()
    truth = [instances([]), instances([])]
    regions = [instances([(16, 24, 40, 40), (60, 60, 64, 64)]), instances([])]
    plain = objectness_gradients(head, maps, truth, None)
    got = objectness_gradients(head, maps, truth, regions)
    for stride, before, after in zip(STRIDES, plain, got):
        expected = before.clone()
        for row in range(SIZE // stride):
            for col in range(SIZE // stride):
                x, y = (col + 0.5) * stride, (row + 0.5) * stride
                for x1, y1, x2, y2 in regions[0].bboxes.tolist():
                    if x1 <= x < x2 and y1 <= y < y2:
                        expected[0, :, row, col] = 0
        torch.testing.assert_close(after, expected)
    assert (got[0][0] == 0).sum() == 3 * (3 * 2 + 1)  # cells of the two regions, three anchors
    assert (got[0][1] == 0).sum() == 0


def test_matched_predictions_learn_inside_of_a_region():
    head, maps = make_head(), raw_maps(images=1)
    truth = [instances([(20.0, 29.0, 22.2, 31.2)])]
    plain = objectness_gradients(head, maps, truth, None)
    got = objectness_gradients(head, maps, truth, [instances([(0, 0, SIZE, SIZE)])])
    kept = [(g != 0) for g in got]
    assert [int(k.sum()) for k in kept] == [1, 0, 0]
    torch.testing.assert_close(got[0][kept[0]], plain[0][kept[0]])


def test_regions_of_data_samples_are_heeded(build_detector):
    model = build_detector()
    image = torch.rand(1, 3, SIZE, SIZE)
    whole = instances([(0, 0, SIZE, SIZE)])
    losses = [
        model(image, [sample(instances([]), ignored=ignored)], mode='loss')['loss_obj']
        for ignored in (None, whole)
    ]
    assert losses[0] > 0 and losses[1] == 0


def test_regions_leave_box_and_class_losses_alone():
    head, maps, truth = make_head(), raw_maps(images=1), [random_instances(4)]
    plain = head.loss_by_feat(maps, truth)
    for ignored in ([None], [instances([])], [instances([(0, 0, 30, 30)])]):
        got = head.loss_by_feat(maps, truth, None, ignored)
        assert got['loss_bbox'] == plain['loss_bbox'] and got['loss_cls'] == plain['loss_cls']


# ---- no loop over targets


class CountOps(TorchDispatchMode):
    """Counts the operations that reach PyTorch."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def test_number_of_operations_does_not_grow_with_targets():
    head = make_head()
    # Five that reach all levels and overlap; then thirty of each, moved.
    few = torch.tensor(
        [
            [20.0, 20, 26, 28],
            [60, 60, 66, 65],
            [60, 60, 84, 90],
            [62, 61, 85, 88],
            [100, 100, 180, 190],
        ]
    )
    many = (few + 110 * torch.rand(30, 1, 1)).flatten(0, 1)
    counts = []
    for boxes in (few, many):
        truth = InstanceData(bboxes=boxes, labels=torch.zeros(len(boxes), dtype=torch.long))
        maps = raw_maps(images=2, size=320)
        with CountOps() as ops:
            losses = head.loss_by_feat(maps, [truth] * 2)
            sum(losses.values()).backward()
        counts.append(ops.count)
    assert abs(counts[1] - counts[0]) <= 20
