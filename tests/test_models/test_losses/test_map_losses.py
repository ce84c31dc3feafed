# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Losses of maps."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.logging import MessageHub

from smallobj_mm.models.losses import MapBCELoss, ScaleAwareIoULoss, SoftIoULoss, target_edges

LOSSES = [
    MapBCELoss(),
    MapBCELoss(hard_fraction=0.5),
    SoftIoULoss(),
    SoftIoULoss(overlap='minimum'),
    ScaleAwareIoULoss(),
]


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


@pytest.mark.parametrize('loss', LOSSES)
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


@pytest.mark.parametrize('loss', LOSSES)
def test_nothing_counts(loss):
    logits, target = maps(2)
    value = loss(logits, target, torch.zeros_like(target, dtype=torch.bool))
    assert value.isfinite()


def test_half_precision_is_computed_in_single():
    logits, target = maps(3)
    half = logits.bfloat16()
    for loss in (MapBCELoss(), SoftIoULoss()):
        assert torch.equal(loss(half, target), loss(half.float(), target))


def test_edges():
    """Two pixels wide: the last of the target and the first of the background."""
    target = torch.zeros(1, 1, 7, 9)
    target[..., 2:5, 3:8] = 0.3
    edges = target_edges(target)
    assert edges[..., 1:6, 2:9].sum() == edges.sum() == 5 * 7 - 1 * 3
    assert (edges[..., 3, 4:7] == 0).all()
    assert (target_edges(torch.ones(1, 1, 4, 4)) == 0).all()
    assert (target_edges(torch.zeros(1, 1, 4, 4)) == 0).all()


def test_edge_weight():
    logits, _ = maps(4)
    target = torch.zeros_like(logits)
    target[:, :, 2:4, 3:6] = 1
    weights = 1 + 3 * target_edges(target)
    expected = F.binary_cross_entropy_with_logits(logits, target, weight=weights)
    torch.testing.assert_close(MapBCELoss(edge_weight=4)(logits, target), expected)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), fraction=st.floats(0.01, 1))
def test_hardest_pixels(seed, fraction):
    logits, target = maps(seed)
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction='none').flatten()
    count = max(round(fraction * len(loss)), 1)
    expected = loss.sort(descending=True).values[:count].mean()
    torch.testing.assert_close(MapBCELoss(hard_fraction=fraction)(logits, target), expected)


@settings(max_examples=50, deadline=None)
@given(wanted=st.integers(1, 60), a=st.integers(0, 64), b=st.integers(0, 64))
def test_weight_of_areas_is_monotonic(wanted, a, b):
    """Of two areas on the same side the one that is farther off weighs less, alone by its area."""
    weight = []
    for found in (a, b):
        target = torch.zeros(1, 1, 8, 16)
        target.view(-1)[:wanted] = 1
        logits = torch.full_like(target, -60.0)
        logits.view(-1)[:found] = 60
        iou = 1 - SoftIoULoss()(logits, target)
        weight.append((1 - ScaleAwareIoULoss()(logits, target)) / iou)
    if (a - wanted) * (b - wanted) >= 0 and abs(a - wanted) < abs(b - wanted):
        assert weight[0] > weight[1]
    if a == wanted:
        assert weight[0] == pytest.approx(1)


def test_areas_are_not_weighed_during_warmup():
    logits, target = maps(5)
    loss = ScaleAwareIoULoss(warmup_iters=100)
    hub = MessageHub.get_instance('test_areas')
    assert MessageHub.get_current_instance() is hub
    for iteration, other in ((0, SoftIoULoss()), (99, SoftIoULoss()), (100, ScaleAwareIoULoss())):
        hub.update_info('iter', iteration)
        assert torch.equal(loss(logits, target), other(logits, target))


@pytest.mark.parametrize(
    'options', [dict(edge_weight=-1), dict(hard_fraction=0), dict(hard_fraction=1.5)]
)
def test_options_of_bce(options):
    with pytest.raises(ValueError, match='expected weights of 0 or more and a share in'):
        MapBCELoss(**options)


def test_options_of_scale_aware_iou():
    with pytest.raises(ValueError, match='smooth is 0, expected a number above 0'):
        ScaleAwareIoULoss(smooth=0)
