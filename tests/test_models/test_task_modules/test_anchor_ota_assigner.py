# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The assigner against a slow one in plain Python."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mmdet.models.task_modules.assigners import AssignResult, BaseAssigner
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.structures import InstanceData

from smallobj_mm.models.task_modules import AnchorOTAAssigner

STRIDES = (8, 16, 32)
SIZE = (96, 128)  # height, width in px
GRIDS = [(SIZE[0] // s, SIZE[1] // s) for s in STRIDES]
ANCHORS = [[(6, 6), (9, 14)], [(16, 12), (30, 40)], [(60, 50), (120, 90)]]
CLASSES = 3


def slow_candidates(image, boxes, ratio_thr=4.0):
    """(image, level, anchor, row, col) of each target's candidates, in no order."""
    found = []
    for n, (x1, y1, x2, y2) in zip(image, boxes):
        w, h = x2 - x1, y2 - y1
        for level, stride in enumerate(STRIDES):
            rows, cols = GRIDS[level]
            cx, cy = (x1 + x2) / 2 / stride, (y1 + y2) / 2 / stride
            col, row = math.floor(cx), math.floor(cy)
            # The nearer neighbor on each axis, where the map has one.
            cells = [(row, col)]
            side = col - 1 if cx - col < 0.5 else col + 1
            if 0 <= side < cols:
                cells.append((row, side))
            side = row - 1 if cy - row < 0.5 else row + 1
            if 0 <= side < rows:
                cells.append((side, col))
            for anchor, (aw, ah) in enumerate(ANCHORS[level]):
                if max(w / aw, aw / w, h / ah, ah / h) < ratio_thr:
                    found += [(n, level, anchor, r, c) for r, c in cells]
    return sorted(found)


def slow_iou(a, b):
    inter = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(r[2] - r[0]) * (r[3] - r[1]) for r in (a, b)]
    return inter / (sum(areas) - inter)


def slow_assign(image, labels, boxes, cand_image, cand_boxes, scores, topk=10, weight=3.0):
    """{candidate: target}, by the docstring of the class."""
    owner = {}
    cost = {}
    for n in sorted(set(image)):
        targets = [t for t, i in enumerate(image) if i == n]
        candidates = [c for c, i in enumerate(cand_image) if i == n]
        claims = {}
        for t in targets:
            ious = {c: slow_iou(boxes[t], cand_boxes[c]) for c in candidates}
            for c in candidates:
                bce = sum(
                    -math.log(p if k == labels[t] else 1 - p) for k, p in enumerate(scores[c])
                )
                cost[t, c] = bce - weight * math.log(ious[c] + 1e-8)
            k = max(1, int(sum(sorted(ious.values(), reverse=True)[:topk])))
            for c in sorted(candidates, key=lambda c: cost[t, c])[:k]:
                claims.setdefault(c, []).append(t)
        for c, claimed in claims.items():
            if len(claimed) > 1:
                claimed = [min(targets, key=lambda t: cost[t, c])]
            owner[c] = claimed[0]
    return owner


@st.composite
def targets(draw):
    """Targets of up to three images, none, one or many of each, centers off the cell lines."""
    image, boxes, labels = [], [], []
    for n in range(draw(st.integers(1, 3))):
        for _ in range(draw(st.sampled_from([0, 0, 1, 2, 7]))):
            # Thirds of a pixel keep centers away from cell borders and cell centers.
            cx = draw(st.integers(0, SIZE[1] - 1)) + 1 / 3
            cy = draw(st.integers(0, SIZE[0] - 1)) + 1 / 3
            w, h = (draw(st.integers(1, 4 * s)) + 0.37 for s in (40, 30))
            image.append(n)
            boxes.append((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))
            labels.append(draw(st.integers(0, CLASSES - 1)))
    return image, boxes, labels


def as_tensors(image, boxes):
    boxes = torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4)
    return torch.tensor(image, dtype=torch.long), boxes


def find(image, boxes, assigner=None):
    image, boxes = as_tensors(image, boxes)
    return (assigner or AnchorOTAAssigner()).candidates(
        image,
        (boxes[:, :2] + boxes[:, 2:]) / 2,
        boxes[:, 2:] - boxes[:, :2],
        torch.tensor(ANCHORS, dtype=torch.float64),
        torch.tensor(STRIDES, dtype=torch.float64),
        GRIDS,
    )


@settings(max_examples=80, deadline=None)
@given(targets(), st.sampled_from([2.0, 4.0]))
def test_candidates(drawn, ratio_thr):
    image, boxes, _ = drawn
    got = find(image, boxes, AnchorOTAAssigner(ratio_thr=ratio_thr))
    assert sorted(zip(*(f.tolist() for f in got))) == slow_candidates(image, boxes, ratio_thr)
    assert got.image.tolist() == sorted(got.image.tolist())


@settings(max_examples=80, deadline=None)
@given(targets(), st.integers(0, 10**6), st.sampled_from([1, 3, 10]), st.sampled_from([0.5, 3.0]))
def test_assignment(drawn, seed, topk, iou_weight):
    image, boxes, labels = drawn
    rng = torch.Generator().manual_seed(seed)
    # Predictions around the targets, so that many IoUs are high, and some anywhere.
    cand_image, cand_boxes = [], []
    for n in range(3):
        own = [b for i, b in zip(image, boxes) if i == n]
        for b in own * 4:
            noise = (torch.randn(4, generator=rng, dtype=torch.float64) * 2).tolist()
            moved = [v + d for v, d in zip(b, noise)]
            if moved[2] - moved[0] > 0.5 and moved[3] - moved[1] > 0.5:
                cand_image.append(n)
                cand_boxes.append(moved)
        cand_image.append(n)
        cand_boxes.append([3.0 * n, 5.0, 3.0 * n + 20, 30.0])
    scores = torch.rand(len(cand_image), CLASSES, generator=rng, dtype=torch.float64)
    scores = scores.clamp(1e-3, 1 - 1e-3)
    for t, b in enumerate(boxes):  # a sum of IoUs at a whole number may be rounded either way
        ious = sorted((slow_iou(b, c) for c, i in zip(cand_boxes, cand_image) if i == image[t]))
        total = sum(ious[::-1][:topk])
        assume(abs(total - round(total)) > 1e-9)
    image_t, boxes_t = as_tensors(image, boxes)
    ours = AnchorOTAAssigner(topk=topk, iou_weight=iou_weight)
    cand_image_t = torch.tensor(cand_image)
    cand_boxes_t = torch.tensor(cand_boxes, dtype=torch.float64)
    labels_t = torch.tensor(labels, dtype=torch.long)
    got = {}
    for n in range(3):
        own, near = (image_t == n).nonzero()[:, 0], (cand_image_t == n).nonzero()[:, 0]
        result = ours.assign(
            InstanceData(bboxes=cand_boxes_t[near], scores=scores[near]),
            InstanceData(bboxes=boxes_t[own], labels=labels_t[own]),
        )
        assert result.num_gts == len(own) and len(result.gt_inds) == len(near)
        for c, t, overlap, label in zip(
            near.tolist(), result.gt_inds.tolist(), result.max_overlaps, result.labels
        ):
            if t:
                got[c] = int(own[t - 1])
                assert overlap.item() == pytest.approx(slow_iou(boxes[got[c]], cand_boxes[c]))
                assert label == labels[got[c]]
            else:
                assert overlap == 0 and label == -1
    expected = slow_assign(
        image, labels, boxes, cand_image, cand_boxes, scores.tolist(), topk, iou_weight
    )
    assert got == expected


def test_no_targets():
    got = find([], [])
    assert all(len(field) == 0 for field in got)
    for predictions, objects in ((0, 0), (3, 0), (0, 2)):
        boxes = torch.tensor([[10.0, 10, 20, 20]])
        result = AnchorOTAAssigner().assign(
            InstanceData(
                bboxes=boxes.repeat(predictions, 1), scores=torch.full((predictions, CLASSES), 0.5)
            ),
            InstanceData(
                bboxes=boxes.repeat(objects, 1), labels=torch.zeros(objects, dtype=torch.long)
            ),
        )
        assert result.num_gts == objects
        assert result.gt_inds.tolist() == [0] * predictions
        assert result.labels.tolist() == [-1] * predictions
        assert result.max_overlaps.tolist() == [0] * predictions


def test_level_without_candidates():
    """A box of 6 px fits the anchors of the first level only."""
    got = find([0], [(50.0, 50.0, 56.0, 56.0)])
    assert set(got.level.tolist()) == {0, 1}
    got = find([0], [(50.0, 50.0, 52.0, 52.0)])
    assert set(got.level.tolist()) == {0} and len(got.level) == 3


def test_target_that_fits_no_anchor():
    got = find([0, 0], [(10.0, 50.0, 90.0, 51.0), (50.0, 50.0, 50.0, 60.0)])
    assert len(got.level) == 0


def test_cells_stay_on_the_map():
    corners = [(-3.0, -3.0, 3.0, 3.0), (125.0, 93.0, 131.0, 99.0), (-9.0, 40.0, -1.0, 48.0)]
    got = find([0] * 3, corners)
    for level, (rows, cols) in enumerate(GRIDS):
        here = got.pick(got.level == level)
        assert ((here.row >= 0) & (here.row < rows)).all()
        assert ((here.col >= 0) & (here.col < cols)).all()


def test_is_an_assigner_of_mmdet():
    """Built from a config like any other, with instances or plain tensors as boxes."""
    assigner = TASK_UTILS.build(dict(type='smallobj_mm.AnchorOTAAssigner', topk=3))
    assert isinstance(assigner, BaseAssigner) and assigner.topk == 3
    boxes = torch.tensor([[10.0, 10, 20, 20], [12, 10, 22, 20], [60, 60, 70, 70]])
    truth = InstanceData(bboxes=HorizontalBoxes(boxes[[0]]), labels=torch.tensor([2]))
    pred = InstanceData(bboxes=boxes, scores=torch.full((3, CLASSES), 0.5))
    result = assigner.assign(pred, truth, gt_instances_ignore=truth[:0])
    assert isinstance(result, AssignResult)
    # IoUs of 1, 2 / 3 and 0: their sum makes k 1.
    assert result.gt_inds.tolist() == [1, 0, 0] and result.labels.tolist() == [2, -1, -1]
    assert result.max_overlaps.tolist() == [1, 0, 0]


@pytest.mark.parametrize('img_shape, same', [((96, 96), True), ((96, 192), False)])
def test_scale_by_height(img_shape, same):
    """The authors' comparison: the same on square images, another on others."""
    truth = InstanceData(
        bboxes=torch.tensor([[40.0, 10.0, 60.0, 30.0]]), labels=torch.zeros(1, dtype=torch.long)
    )
    candidates = InstanceData(
        bboxes=torch.tensor([[40.0, 10.0, 60.0, 30.0], [20.0, 10.0, 30.0, 30.0]]),
        scores=torch.full((2, CLASSES), 0.5),
    )
    plain = AnchorOTAAssigner().assign(candidates, truth, img_shape=img_shape)
    authors = AnchorOTAAssigner(scale_by_height=True)
    scaled = authors.assign(candidates, truth, img_shape=img_shape)
    assert plain.gt_inds.tolist() == [1, 0]
    assert scaled.gt_inds.tolist() == ([1, 0] if same else [0, 1])
    with pytest.raises(ValueError, match='AnchorOTAAssigner: img_shape is None'):
        authors.assign(candidates, truth)
