# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Losses of maps."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.models.losses import MapBCELoss, SoftIoULoss


def maps(seed: int) -> tuple:
    """Logits and soft targets of three images."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 1, 6, 8, generator=generator)
    return logits, torch.rand(3, 1, 6, 8, generator=generator)


def test_bce():
    logits, target = maps(0)
    expected = F.binary_cross_entropy(logits.sigmoid(), target)
    torch.testing.assert_close(MapBCELoss()(logits, target), expected)
    torch.testing.assert_close(MapBCELoss(loss_weight=3)(logits, target), 3 * expected)


def test_bce_of_missed_targets_is_dearer():
    target = torch.ones(1, 1, 4, 4)
    logits = torch.full_like(target, -2)
    torch.testing.assert_close(
        MapBCELoss(pos_weight=5)(logits, target), 5 * MapBCELoss()(logits, target)
    )
    assert torch.equal(
        MapBCELoss(pos_weight=5)(logits, 0 * target), MapBCELoss()(logits, 0 * target)
    )


def test_soft_iou_of_each_image():
    logits, target = maps(1)
    terms = []
    for logit, t in zip(logits, target):
        p = logit.sigmoid()
        i = (p * t).sum()
        terms.append(1 - (i + 1) / (p.sum() + t.sum() - i + 1))
    torch.testing.assert_close(SoftIoULoss()(logits, target), sum(terms) / 3)


def test_soft_iou_of_the_truth_and_of_nothing():
    target = (torch.rand(2, 1, 8, 8) > 0.8).float()
    certain = 100 * (2 * target - 1)
    assert SoftIoULoss()(certain, target) < 1e-6
    empty = torch.zeros_like(target)
    assert SoftIoULoss()(empty - 100, empty) < 1e-6
    assert SoftIoULoss()(empty + 100, empty) > 0.9


def test_overlaps_of_hard_labels_agree_when_certain():
    target = (torch.rand(2, 1, 8, 8) > 0.8).float()
    logits = 100 * (2 * (torch.rand(2, 1, 8, 8) > 0.5).float() - 1)
    torch.testing.assert_close(
        SoftIoULoss(overlap='minimum')(logits, target), SoftIoULoss()(logits, target)
    )


def best_level(overlap, level):
    """The constant probability that fits a map of that level best, by a search."""
    target = torch.full((1, 1, 8, 8), level)
    grid = torch.linspace(0.01, 0.99, 99)
    losses = [SoftIoULoss(0.0, overlap)(torch.full_like(target, p).logit(), target) for p in grid]
    return grid[torch.stack(losses).argmin()].item()


@pytest.mark.parametrize('level', [0.2, 0.5, 0.9])
def test_soft_targets_are_met_by_the_minimum_alone(level):
    """The product's best answer to any constant map is to fill it."""
    assert best_level('minimum', level) == pytest.approx(level, abs=0.006)
    assert best_level('product', level) == pytest.approx(0.99)


def test_unknown_overlap():
    with pytest.raises(ValueError, match="overlap 'sum': expected 'product' or 'minimum'"):
        SoftIoULoss(overlap='sum')


@pytest.mark.parametrize('loss', [MapBCELoss(), SoftIoULoss(), SoftIoULoss(overlap='minimum')])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), columns=st.integers(1, 7))
def test_ignored_pixels_count_nowhere(loss, seed, columns):
    """As if they were cut off, and no gradient reaches them."""
    logits, target = maps(seed)
    logits.requires_grad_()
    valid = torch.ones_like(target, dtype=torch.bool)
    valid[..., columns:] = False
    value = loss(logits, target, valid)
    torch.testing.assert_close(value, loss(logits[..., :columns], target[..., :columns]))
    value.backward()
    assert (logits.grad[..., columns:] == 0).all()


@pytest.mark.parametrize('loss', [MapBCELoss(), SoftIoULoss(), SoftIoULoss(overlap='minimum')])
def test_nothing_counts(loss):
    logits, target = maps(2)
    value = loss(logits, target, torch.zeros_like(target, dtype=torch.bool))
    assert value.isfinite()


def test_half_precision_is_computed_in_single():
    logits, target = maps(3)
    half = logits.bfloat16()
    for loss in (MapBCELoss(), SoftIoULoss()):
        assert torch.equal(loss(half, target), loss(half.float(), target))
