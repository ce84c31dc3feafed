# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.task_modules.assigners import BboxOverlaps2D
from mmdet.structures.bbox import HorizontalBoxes

from smallobj_mm.models.task_modules import (
    NWDOverlaps,
    SimDOverlaps,
    mean_object_size,
    simd_norms,
)

COORDINATE = st.floats(-100, 700, width=32)
SIDE = st.floats(0.5, 400, width=32)
BOX = st.tuples(COORDINATE, COORDINATE, SIDE, SIDE).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
MEASURES = [NWDOverlaps(10), SimDOverlaps(3, 5), NWDOverlaps(10, share=0.4)]


def test_nwd_by_hand():
    a = torch.tensor([[0.0, 0, 4, 4]])
    b = torch.tensor([[0.0, 0, 4, 4], [3, 4, 7, 8], [-2, 0, 6, 4], [1, 1, 3, 3]])
    # Distances: 0; 3-4-5; same center and 4 wider, so 4 / 2; 2 narrower and lower, so sqrt(8 / 4).
    expected = [math.exp(-w / 10) for w in (0, 5, 2, math.sqrt(2))]
    assert NWDOverlaps(10)(a, b).tolist() == [pytest.approx(expected)]
    assert NWDOverlaps(5)(a, b)[0, 1].item() == pytest.approx(math.exp(-1))


def test_simd_by_hand():
    a = torch.tensor([[0.0, 0, 4, 4]])
    b = torch.tensor([[0.0, 0, 4, 4], [2, 0, 6, 4], [3, 4, 7, 8], [-2, 0, 6, 4], [-4, -4, 8, 8]])
    expected = [
        1,  # equal
        math.exp(-0.25 * 3),  # 2 / (4 + 4) = 0.25 of the widths, times m
        math.exp(-math.hypot(3 / 8 * 3, 4 / 8 * 5)),
        math.exp(-4 / 12 * 3),  # 4 wider, same center
        math.exp(-math.hypot(8 / 16 * 3, 8 / 16 * 5)),
    ]
    assert SimDOverlaps(3, 5)(a, b).tolist() == [pytest.approx(expected)]
    # Both parts at once: L = (6/12) * 2 along x, S = hypot(4/12, 4/12) * 2.
    both = torch.tensor([[4.0, -2, 12, 6]])
    value = math.exp(-(1 + math.hypot(1 / 3, 1 / 3) * 2))
    assert SimDOverlaps(2, 2)(a, both).item() == pytest.approx(value)


def test_share_mixes_with_the_iou():
    a, b = torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([[2.0, 0, 6, 4]])
    iou, nwd = 1 / 3, math.exp(-2 / 10)
    for share in (0, 0.2, 1):
        expected = (1 - share) * iou + share * nwd
        assert NWDOverlaps(10, share=share)(a, b).item() == pytest.approx(expected)
    assert SimDOverlaps(1, 1, share=0.5)(a, b).item() == pytest.approx(
        (1 / 3 + math.exp(-0.25)) / 2
    )


@settings(max_examples=80, deadline=None)
@given(st.lists(BOX, min_size=1, max_size=5), st.lists(BOX, min_size=1, max_size=5))
@pytest.mark.parametrize('measure', MEASURES, ids=repr)
def test_properties(measure, first, second):
    a, b = torch.tensor(first, dtype=torch.float64), torch.tensor(second, dtype=torch.float64)
    value = measure(a, b)
    assert value.shape == (len(a), len(b)) and value.dtype == torch.float64
    assert ((value >= 0) & (value <= 1)).all()
    torch.testing.assert_close(measure(b, a).T, value)
    torch.testing.assert_close(measure(a, a).diagonal(), torch.ones(len(a)).double())
    torch.testing.assert_close(measure(a + 7, b + 7), value, rtol=1e-6, atol=1e-9)
    common = min(len(a), len(b))
    aligned = measure(a[:common], b[:common], is_aligned=True)
    torch.testing.assert_close(aligned, value[:common, :common].diagonal())
    if isinstance(measure, SimDOverlaps):  # relative to the sizes
        torch.testing.assert_close(measure(3 * a, 3 * b), value, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('measure', MEASURES, ids=repr)
def test_interface_is_that_of_mmdet(measure):
    stock = BboxOverlaps2D()
    a = torch.rand(3, 4).cumsum(1) * 20
    b = torch.rand(5, 4).cumsum(1) * 20
    for mode in ('iof', 'giou'):
        assert torch.equal(measure(a, b, mode=mode), stock(a, b, mode=mode))
    assert torch.equal(measure(HorizontalBoxes(a), HorizontalBoxes(b)), measure(a, b))
    scored = torch.cat([a, torch.ones(3, 1)], dim=1)
    assert torch.equal(measure(scored, b), measure(a, b))
    assert measure(a, b[:0]).shape == (3, 0) and measure(a[:0], b).shape == (0, 5)
    assert measure(a[:0], b[:0], is_aligned=True).shape == (0,)
    batched = measure(a.expand(2, 3, 4), b.expand(2, 5, 4))
    torch.testing.assert_close(batched, measure(a, b).expand(2, 3, 5))
    half = measure(a.half(), b.half())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, measure(a, b), atol=2e-2, rtol=0)
    with pytest.raises(ValueError, match='3 and 5 boxes'):
        measure(a, b, is_aligned=True)
    flat = torch.zeros(1, 4)
    assert measure(flat, flat).isfinite().all()


def test_norms_of_a_data_set():
    boxes = torch.tensor([[0.0, 0, 4, 9], [0, 0, 16, 4]])
    assert mean_object_size(boxes) == pytest.approx((6 + 8) / 2)
    priors = torch.tensor([[0.0, 0, 4, 4], [6, 0, 10, 8]])
    # Image one: an object at (2, 2) of 4 x 4; offsets of 0 and 6 in 8, of 0 and 2 in 8 and 12.
    # Image two: an object at (8, 2) of 4 x 4 against the same priors: 6 / 8 and 0; 0 and 2 / 12.
    objects = [torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([[6.0, 0, 10, 4]])]
    m, n = simd_norms(objects, [priors, priors])
    assert m == pytest.approx((0 + 6 / 8 + 6 / 8 + 0) / 4)
    assert n == pytest.approx((0 + 2 / 12 + 0 + 2 / 12) / 4)
    assert simd_norms([*objects, torch.zeros(0, 4)], [priors] * 3) == pytest.approx((m, n))


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match='NWDOverlaps: constant is 0'):
        NWDOverlaps(0)
    with pytest.raises(ValueError, match='NWDOverlaps: share is 1.5'):
        NWDOverlaps(10, share=1.5)
    with pytest.raises(ValueError, match='SimDOverlaps: m is 0 and n 2'):
        SimDOverlaps(0, 2)
    with pytest.raises(ValueError, match='no boxes'):
        mean_object_size(torch.zeros(0, 4))
    with pytest.raises(ValueError, match='boxes of 1 images and priors of 0'):
        simd_norms([torch.zeros(0, 4)], [])
    with pytest.raises(ValueError, match='no pair'):
        simd_norms([torch.zeros(0, 4)], [torch.zeros(3, 4)])
