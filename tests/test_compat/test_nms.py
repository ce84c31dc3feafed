# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""NMS of compat against plain loops, and against the compiled operators where installed."""

import sys
import time

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from smallobj_mm.compat import nms as compat_nms
from smallobj_mm.compat import spatial_nms
from smallobj_mm.compat.mmcv_ext import EXT_NAME, OperatorModule
from smallobj_mm.compat.nms import nms, softnms

import mmcv.ops  # isort: skip

F32 = np.float32
COMPILED = not isinstance(sys.modules[EXT_NAME], OperatorModule)
few = settings(max_examples=60, deadline=None)


def overlap(a: np.ndarray, b: np.ndarray, offset: int) -> F32:
    """IoU of two boxes, every operation in float32."""
    offset = F32(offset)
    width = max(F32(0), min(a[2], b[2]) - max(a[0], b[0]) + offset)
    height = max(F32(0), min(a[3], b[3]) - max(a[1], b[1]) + offset)
    inter = width * height
    areas = [(c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b)]
    with np.errstate(divide='ignore', invalid='ignore'):
        return F32(inter / (areas[0] + areas[1] - inter))


def plain_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float, offset: int) -> list:
    """Greedy NMS as its definition reads."""
    kept = []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if not any(overlap(boxes[k], boxes[index], offset) > F32(threshold) for k in kept):
            kept.append(index)
    return kept


def plain_softnms(boxes, scores, threshold, sigma, min_score, method, offset):
    """Soft-NMS with lists: swap the best to the front, fill holes from the end."""
    rows = [[*map(F32, box), F32(score), i] for i, (box, score) in enumerate(zip(boxes, scores))]
    done = 0
    while done < len(rows):
        best = max(range(done, len(rows)), key=lambda i: (rows[i][4], -i))
        rows[done], rows[best] = rows[best], rows[done]
        at = done + 1
        while at < len(rows):
            iou = overlap(rows[done][:4], rows[at][:4], offset)
            if method == 2:
                weight = F32(np.exp(np.float64(-(iou * iou) / F32(sigma))))
            elif iou >= F32(threshold):
                weight = F32(0) if method == 0 else F32(1) - iou
            else:
                weight = F32(1)
            rows[at][4] = rows[at][4] * weight
            if rows[at][4] < F32(min_score):
                rows[at] = rows[-1]
                rows.pop()
            else:
                at += 1
        done += 1
    return np.array([row[:5] for row in rows], F32).reshape(-1, 5), [row[5] for row in rows]


@st.composite
def candidates(draw, max_boxes: int = 40):
    """Boxes on a coarse grid (many exact overlaps, some empty) with scores that often tie."""
    count = draw(st.integers(0, max_boxes))
    corner = draw(arrays(F32, (count, 2), elements=st.integers(0, 12).map(F32)))
    size = draw(arrays(F32, (count, 2), elements=st.integers(0, 10).map(F32)))
    jitter = F32(draw(st.sampled_from([0, 0.37])))
    scores = draw(arrays(F32, count, elements=st.integers(0, 8).map(lambda v: F32(v / 8))))
    return np.concatenate([corner, corner + size * (1 + jitter)], 1).astype(F32), scores


thresholds = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.65, 1.0])


def all_with_all(boxes: torch.Tensor, scores: torch.Tensor, threshold: float, offset: int):
    """NMS that compares all boxes with all, whatever their number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compat_nms, 'DENSE_BOXES', len(boxes))
        return nms(boxes, scores, threshold, offset)


@few
@given(candidates(), thresholds, st.sampled_from([0, 1]), st.sampled_from([1, 3, 128]))
def test_nms_equals_plain_loops(case, threshold, offset, block):
    boxes, scores = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compat_nms, 'CPU_BLOCK', block)
        kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold, offset)
    assert kept.dtype == torch.long
    assert kept.tolist() == plain_nms(boxes, scores, threshold, offset)


@few
@given(candidates(), thresholds, st.sampled_from([0, 1]), st.sampled_from([1, 3, 64]))
def test_nms_among_neighbors_equals_plain_loops(case, threshold, offset, block):
    """The way of many boxes, on few."""
    boxes, scores = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compat_nms, 'DENSE_BOXES', 0)
        patch.setattr(spatial_nms, 'FIRST_BLOCK', block)
        patch.setattr(spatial_nms, 'PAIRS', 16)
        kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold, offset)
    assert kept.tolist() == plain_nms(boxes, scores, threshold, offset)


@few
@given(
    st.integers(0, 2**31 - 1),
    st.floats(0, 1),
    st.sampled_from([0, 1]),
    st.floats(0, 8),
    st.sampled_from([0.0, 0.1, 0.5, 2.0]),
    st.sampled_from([0, 700, 1e5]),
)
def test_nms_of_many_equals_all_with_all(seed, threshold, offset, octave, spread, shift):
    """Sizes over many levels, crowded or sparse, near the origin and far (as of a 80th class)."""
    random = torch.Generator().manual_seed(seed)
    center = torch.rand(600, 2, generator=random) * 256 + shift
    size = 2**octave * torch.exp(spread * torch.randn(600, 2, generator=random))
    boxes = torch.cat([center - size / 2, center + size / 2], 1)
    if seed % 2:
        boxes = boxes.round()  # exact overlaps, boxes without area
    scores = torch.rand(600, generator=random)
    expected = all_with_all(boxes, scores, threshold, offset)
    assert torch.equal(nms(boxes, scores, threshold, offset), expected)


@pytest.mark.parametrize('special', [np.nan, np.inf, -np.inf, 1e30, 1e-30, -5.0])
@pytest.mark.parametrize('threshold', [-0.5, 0.0, 0.4])
def test_uncommon_numbers(special, threshold):
    """Boxes that are not finite, huge, tiny or inverted, and a threshold below zero."""
    corner = torch.rand(500, 2) * 50
    boxes = torch.cat([corner, corner + torch.rand(500, 2) * 20], 1)
    boxes[::7, 2] = special
    boxes[::35] = torch.tensor([0, 0, special, special])
    scores = torch.rand(500)
    expected = all_with_all(boxes, scores, threshold, 0)
    assert torch.equal(nms(boxes, scores, threshold), expected)


@pytest.mark.parametrize('boxes_alike', [False, True])
def test_thirty_thousand_boxes(boxes_alike):
    """What a head at stride 4 hands over; all with all took 4.4 s of one core, this takes 0.1 s."""
    center = torch.rand(30_000, 2) * (0.1 if boxes_alike else 1280)
    size = 16 * torch.exp(0.5 * torch.randn(30_000, 2))
    boxes = torch.cat([center - size / 2, center + size / 2], 1)
    scores = torch.randperm(30_000) / 30_000
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        began = time.thread_time()
        kept = nms(boxes, scores, 0.65)
        took = time.thread_time() - began
    finally:
        torch.set_num_threads(threads)
    assert took < 2  # with room for a machine that does other things, too
    head = scores.argsort(descending=True)[:2000]  # what they keep does not depend on the others
    expected = head[all_with_all(boxes[head], scores[head], 0.65, 0)]
    assert torch.equal(kept[: len(expected)], expected)
    assert torch.equal(nms(boxes[kept], scores[kept], 0.65), torch.arange(len(kept)))


@few
@given(candidates(25), thresholds, st.sampled_from([0, 1, 2]), st.sampled_from([0, 1]))
def test_softnms_equals_plain_loops(case, threshold, method, offset):
    boxes, scores = case
    dets = torch.full((len(boxes), 5), -1.0)
    inputs = torch.from_numpy(boxes), torch.from_numpy(scores), dets
    kept = softnms(*inputs, threshold, 0.5, 0.05, method, offset)
    expected, order = plain_softnms(boxes, scores, threshold, 0.5, 0.05, method, offset)
    assert kept.tolist() == order
    np.testing.assert_array_equal(dets[: len(kept)].numpy(), expected)


@few
@given(candidates(25), thresholds, st.data())
def test_batched_nms_is_nms_of_each_class(case, threshold, data):
    """mmcv's own function on top of ours, as heads call it."""
    boxes, scores = case
    if not len(boxes):
        return  # mmcv's function takes none
    classes = st.lists(st.integers(0, 2), min_size=len(boxes), max_size=len(boxes))
    labels = np.array(data.draw(classes))
    inputs = torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(labels)
    dets, kept = mmcv.ops.batched_nms(*inputs, dict(type='nms', iou_threshold=threshold))
    expected = [
        np.flatnonzero(labels == label)[index]
        for label in range(3)
        for index in plain_nms(boxes[labels == label], scores[labels == label], threshold, 0)
    ]
    assert sorted(kept.tolist()) == sorted(expected)
    assert torch.equal(dets[:, :4], inputs[0][kept]) and torch.equal(dets[:, 4], inputs[1][kept])
    assert (dets[1:, 4] <= dets[:-1, 4]).all()


def test_inputs_are_left_alone():
    boxes, scores = torch.rand(30, 4).cumsum(1), torch.rand(30)
    before = boxes.clone(), scores.clone()
    nms(boxes, scores, 0.3)
    softnms(boxes, scores, torch.empty(30, 5), 0.3, 0.5, 1e-3, 1, 0)
    assert torch.equal(boxes, before[0]) and torch.equal(scores, before[1])


def test_a_long_chain_of_suppressions():
    """Each box overlaps its neighbors only: every second one stays."""
    x = torch.arange(600.0)
    boxes = torch.stack([x, torch.zeros(600), x + 1.5, torch.ones(600)], 1)
    scores = torch.linspace(1, 0.1, 600)
    assert nms(boxes, scores, 0.1).tolist() == list(range(0, 600, 2))


def test_through_mmcv_ops():
    """The calls that mmdet's heads make, on the operators that are in place here."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [30, 30, 40, 40]])
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    dets, kept = mmcv.ops.nms(boxes, scores, iou_threshold=0.5, score_threshold=0.65, max_num=5)
    assert kept.tolist() == [0] and torch.equal(dets[0], torch.tensor([0.0, 0, 10, 10, 0.9]))
    labels = torch.tensor([0, 0, 1, 1])
    dets, kept = mmcv.ops.batched_nms(boxes, scores, labels, dict(type='nms', iou_threshold=0.5))
    assert kept.tolist() == [0, 2, 3] and dets.shape == (3, 5)
    cfg = dict(type='nms', iou_threshold=0.5, split_thr=2)
    assert mmcv.ops.batched_nms(boxes, scores, labels, cfg)[1].tolist() == [0, 2, 3]
    cfg = dict(type='soft_nms', iou_threshold=0.5, min_score=0.05)
    dets, kept = mmcv.ops.batched_nms(boxes, scores, labels, cfg)
    assert kept.tolist() == [0, 2, 3, 1]
    assert dets[-1, 4].item() == pytest.approx(0.8 * 0.1)
    dets, kept = mmcv.ops.soft_nms(boxes.numpy(), scores.numpy(), 0.5, method='naive')
    assert isinstance(dets, np.ndarray) and kept.tolist() == [0, 3]


@pytest.mark.skipif(not COMPILED, reason='mmcv is installed without its compiled operators')
@few
@given(st.integers(0, 2**31 - 1), thresholds, st.sampled_from([0, 1]), st.sampled_from([0, 1, 2]))
def test_equals_compiled(seed, threshold, offset, method):
    """Scores are distinct: the order of equal ones is not specified by the compiled operator."""
    ext = sys.modules[EXT_NAME]
    random = torch.Generator().manual_seed(seed)
    corner, size = torch.rand(80, 2, generator=random), torch.rand(80, 2, generator=random)
    boxes = torch.cat([corner, corner + size], 1) * 64
    scores = (torch.randperm(80, generator=random) + 1) / 81
    expected = ext.nms(boxes, scores, iou_threshold=threshold, offset=offset)
    assert torch.equal(nms(boxes, scores, threshold, offset), expected)
    ours, theirs = torch.empty(80, 5), torch.empty(80, 5)
    kept = softnms(boxes, scores, ours, threshold, 0.5, 0.05, method, offset)
    expected = ext.softnms(
        boxes,
        scores,
        theirs,
        iou_threshold=threshold,
        sigma=0.5,
        min_score=0.05,
        method=method,
        offset=offset,
    )
    assert torch.equal(kept, expected)
    torch.testing.assert_close(ours[: len(kept)], theirs[: len(kept)])


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
def test_cuda_equals_cpu():
    corner = torch.rand(3000, 2) * 640
    boxes = torch.cat([corner, corner + torch.rand(3000, 2) * 60], 1)
    scores = torch.rand(3000)
    kept = nms(boxes.cuda(), scores.cuda(), 0.5)
    assert kept.is_cuda and torch.equal(kept.cpu(), nms(boxes, scores, 0.5))
