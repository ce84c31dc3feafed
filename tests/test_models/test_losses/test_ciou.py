# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.models.losses import aligned_ciou

COORDINATE = st.floats(-100, 700, width=32)
SIDE = st.floats(0.5, 400, width=32)
BOX = st.tuples(COORDINATE, COORDINATE, SIDE, SIDE).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


def scalar_ciou(a, b):
    """The definition of the paper, for one pair of boxes in plain floats."""
    aw, ah, bw, bh = a[2] - a[0], a[3] - a[1], b[2] - b[0], b[3] - b[1]
    inter_w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    inter_h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inter = inter_w * inter_h
    iou = inter / (aw * ah + bw * bh - inter)
    rho2 = ((a[0] + a[2] - b[0] - b[2]) / 2) ** 2 + ((a[1] + a[3] - b[1] - b[3]) / 2) ** 2
    c2 = (max(a[2], b[2]) - min(a[0], b[0])) ** 2 + (max(a[3], b[3]) - min(a[1], b[1])) ** 2
    v = 4 / math.pi**2 * (math.atan(bw / bh) - math.atan(aw / ah)) ** 2
    alpha = v / (1 - iou + v) if v > 0 else 0.0
    return iou - rho2 / c2 - alpha * v


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(BOX, BOX), min_size=1, max_size=6))
def test_against_the_definition(pairs):
    a, b = (torch.tensor([p[i] for p in pairs], dtype=torch.float64) for i in (0, 1))
    expected = [scalar_ciou(p, q) for p, q in zip(a.tolist(), b.tolist())]
    assert aligned_ciou(a, b).tolist() == pytest.approx(expected, abs=1e-5)
    assert aligned_ciou(a.float(), b.float()).tolist() == pytest.approx(expected, abs=1e-2)


@settings(max_examples=50, deadline=None)
@given(BOX, st.floats(-50, 50), st.floats(0.1, 10))
def test_invariances(box, shift, scale):
    a = torch.tensor([box], dtype=torch.float64)
    b = a + torch.tensor([[1.0, -2.0, 3.0, 4.0]], dtype=torch.float64)
    reference = aligned_ciou(a, b)
    torch.testing.assert_close(aligned_ciou(a + shift, b + shift), reference, atol=1e-5, rtol=0)
    torch.testing.assert_close(aligned_ciou(a * scale, b * scale), reference, atol=1e-5, rtol=0)
    torch.testing.assert_close(aligned_ciou(b, a), reference, atol=1e-5, rtol=0)


def test_known_values():
    box = torch.tensor([[0.0, 0.0, 4.0, 2.0]])
    assert aligned_ciou(box, box).item() == pytest.approx(1)
    # Side by side, the same shape: no overlap, centers 4 apart, hull 8 x 2.
    assert aligned_ciou(box, box + torch.tensor([[4.0, 0, 4, 0]])).item() == pytest.approx(-16 / 68)


def test_aspect_counts_below_half_an_iou():
    """mmdet's CIoULoss leaves the term out there; ours must not."""
    a, b = torch.tensor([[0.0, 0, 9, 1]]), torch.tensor([[4.0, -4, 5, 5]])
    iou = 1 / 17
    assert aligned_ciou(a, b).item() < iou - 0.1


def test_weight_of_the_aspect_is_held_constant_in_the_gradient():
    a = torch.tensor([[0.0, 0, 6, 2]], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([[1.0, 0, 4, 5]], dtype=torch.float64)
    aligned_ciou(a, b).backward()

    def angle(box):
        return math.atan((box[2] - box[0]) / (box[3] - box[1]))

    def with_constant_weight(box):
        other = b[0].tolist()
        v = 4 / math.pi**2 * (angle(other) - angle(box)) ** 2
        v0 = 4 / math.pi**2 * (angle(other) - angle([0, 0, 6, 2])) ** 2
        alpha0 = v0 / (1 - 6 / 21 + v0)
        alpha = v / (1 - iou(box, other) + v)
        return scalar_ciou(box, other) + alpha * v - alpha0 * v

    def iou(p, q):
        overlap = [max(0, min(p[i + 2], q[i + 2]) - max(p[i], q[i])) for i in (0, 1)]
        inter = overlap[0] * overlap[1]
        areas = [(r[2] - r[0]) * (r[3] - r[1]) for r in (p, q)]
        return inter / (sum(areas) - inter)

    base, step = [0.0, 0.0, 6.0, 2.0], 1e-5
    for i in range(4):
        up, low = list(base), list(base)
        up[i] += step
        low[i] -= step
        slope = (with_constant_weight(up) - with_constant_weight(low)) / (2 * step)
        if i in (1, 3) and base[i] == b[0, i]:
            continue  # a corner of the maximum: no derivative
        assert a.grad[0, i].item() == pytest.approx(slope, abs=1e-4)


def test_degenerate_boxes_stay_finite():
    point = torch.tensor([[5.0, 5, 5, 5]], requires_grad=True)
    for target in ([[5.0, 5, 5, 5]], [[0.0, 0, 10, 10]], [[50.0, 0, 60, 0]]):
        value = aligned_ciou(point, torch.tensor(target))
        value.sum().backward()
        assert value.isfinite().all() and point.grad.isfinite().all()


def test_no_boxes():
    assert aligned_ciou(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)
