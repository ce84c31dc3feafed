# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.models.task_modules import ScaledSigmoidBBoxCoder

CODER = ScaledSigmoidBBoxCoder()


def boxes(center, size):
    center, size = torch.as_tensor(center), torch.as_tensor(size)
    return torch.cat([center - size / 2, center + size / 2], dim=-1)


@settings(max_examples=60, deadline=None)
@given(
    raw=st.lists(st.floats(-8, 8), min_size=4, max_size=4),
    anchor_w=st.floats(2, 400),
    anchor_h=st.floats(2, 400),
    col=st.integers(0, 79),
    row=st.integers(0, 79),
    stride=st.sampled_from([4, 8, 16, 32]),
)
def test_decode_is_the_formula(raw, anchor_w, anchor_h, col, row, stride):
    """xy = (2 s - 0.5 + grid) * stride, wh = (2 s)^2 * anchor."""
    s = [1 / (1 + math.exp(-v)) for v in raw]
    x, y = (2 * s[0] - 0.5 + col) * stride, (2 * s[1] - 0.5 + row) * stride
    w, h = (2 * s[2]) ** 2 * anchor_w, (2 * s[3]) ** 2 * anchor_h
    expected = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
    center = [[(col + 0.5) * stride, (row + 0.5) * stride]]
    prior = boxes(torch.tensor(center).double(), torch.tensor([[anchor_w, anchor_h]]).double())
    got = CODER.decode(prior, torch.tensor([raw]).double(), stride)
    assert got[0].tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize('per_anchor', [False, True])
def test_round_trip(per_anchor):
    n = 200
    stride = torch.tensor([8.0, 16.0]).repeat(n // 2) if per_anchor else torch.tensor(8.0)
    step = stride[:, None] if per_anchor else stride
    priors = boxes(torch.rand(n, 2) * 300, torch.rand(n, 2) * 60 + 4)
    center = (priors[:, :2] + priors[:, 2:]) / 2 + (torch.rand(n, 2) * 1.9 - 0.95) * step
    size = (priors[:, 2:] - priors[:, :2]) * (torch.rand(n, 2) * 3.8 + 0.05)
    truth = boxes(center, size)
    raw = CODER.encode(priors, truth, stride)
    torch.testing.assert_close(CODER.decode(priors, raw, stride), truth, atol=2e-3, rtol=1e-4)
    torch.testing.assert_close(
        CODER.encode(priors, CODER.decode(priors, raw, stride), stride), raw, atol=2e-2, rtol=1e-2
    )


def test_out_of_reach_is_held_at_the_border():
    prior = boxes([[100.0, 100.0]], [[10.0, 20.0]])
    far = boxes([[500.0, -300.0]], [[400.0, 1000.0]])
    raw = CODER.encode(prior, far, 8)
    assert raw.isfinite().all()
    held = CODER.decode(prior, raw, 8)
    torch.testing.assert_close(held, boxes([[108.0, 92.0]], [[40.0, 80.0]]), atol=1e-2, rtol=0)


def test_neutral_prediction_is_the_anchor():
    prior = boxes([[20.0, 12.0]], [[10.0, 6.0]])
    torch.testing.assert_close(CODER.decode(prior, torch.zeros(1, 4), 8), prior)


def test_broadcasts_over_images():
    priors, raw = boxes(torch.rand(5, 2) * 50, torch.rand(5, 2) + 3), torch.randn(3, 5, 4)
    got = CODER.decode(priors, raw, 8)
    assert got.shape == (3, 5, 4)
    for image in range(3):
        torch.testing.assert_close(got[image], CODER.decode(priors, raw[image], 8))
