# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from mmdet.models.losses import GIoULoss
from mmengine.registry import DefaultScope

from smallobj_mm.models.losses import BoxLossSum, NWDLoss, normalized_wasserstein
from smallobj_mm.registry import MODELS

PRED = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4], [-2, 0, 6, 4]])
TARGET = torch.tensor([[0.0, 0, 4, 4], [3, 4, 7, 8], [0, 0, 4, 4]])
ROWS = [0, 1 - math.exp(-0.5), 1 - math.exp(-0.2)]  # distances of 0, 5 and 2 px, C = 10


def test_by_hand_in_every_reduction():
    loss = NWDLoss(10)
    assert loss(PRED, TARGET, reduction_override='none').tolist() == pytest.approx(ROWS)
    assert loss(PRED, TARGET).item() == pytest.approx(sum(ROWS) / 3)
    assert NWDLoss(10, reduction='sum')(PRED, TARGET).item() == pytest.approx(sum(ROWS))
    assert NWDLoss(10, loss_weight=2)(PRED, TARGET, avg_factor=5).item() == pytest.approx(
        2 * sum(ROWS) / 5
    )
    weight = torch.tensor([1.0, 0.5, 0])
    expected = 0.5 * ROWS[1] / 7
    assert loss(PRED, TARGET, weight, avg_factor=7).item() == pytest.approx(expected)
    columns = weight[:, None].expand(3, 4)
    assert loss(PRED, TARGET, columns, avg_factor=7).item() == pytest.approx(expected)


def test_gradients_are_finite_where_boxes_agree_and_right_elsewhere():
    pred = PRED.double().requires_grad_()
    loss = NWDLoss(10)(pred, TARGET.double())
    loss.backward()
    assert pred.grad.isfinite().all() and (pred.grad[0] == 0).all()
    assert torch.autograd.gradcheck(
        lambda p: normalized_wasserstein(p, TARGET.double()[1:], 10),
        pred.detach()[1:].requires_grad_(),
    )
    # A hair's breadth away the slope is that of the distance, 1 / C along each axis or less.
    near = (TARGET[:1].double() + 1e-9).requires_grad_()
    NWDLoss(10)(near, TARGET[:1].double()).backward()
    assert near.grad.isfinite().all() and near.grad.abs().max() <= 0.1


def test_nothing_to_learn_keeps_the_graph():
    pred = PRED.clone().requires_grad_()
    for rows in (slice(0, 0), slice(0, 3)):
        loss = NWDLoss()(pred[rows], TARGET[rows], torch.zeros(3)[rows], avg_factor=1.0)
        assert loss.item() == 0
        loss.backward()
        assert (pred.grad == 0).all()
    assert NWDLoss(reduction='sum')(pred[:0], TARGET[:0]).item() == 0


def test_half_precision_is_computed_in_single():
    far = torch.tensor([[0.0, 0, 600, 400]])
    loss = NWDLoss(12)(far.half(), far.half() + 500)
    assert loss.dtype == torch.float32 and loss.isfinite() and loss.item() == pytest.approx(1)


def test_sum_of_losses():
    with DefaultScope.overwrite_default_scope('mmdet'):
        both = MODELS.build(
            dict(
                type='BoxLossSum',
                losses=[
                    dict(type='GIoULoss', loss_weight=1.6),
                    dict(type='NWDLoss', constant=10, loss_weight=0.4),
                ],
                loss_weight=2,
            )
        )
    assert isinstance(both, BoxLossSum)
    weight = torch.tensor([1.0, 0.5, 0])
    for keywords in (
        dict(),
        dict(weight=weight, avg_factor=7),
        dict(reduction_override='none'),
        dict(weight=weight * 0, avg_factor=1.0),
    ):
        expected = 2 * (
            1.6 * GIoULoss()(PRED, TARGET, **keywords) + 0.4 * NWDLoss(10)(PRED, TARGET, **keywords)
        )
        torch.testing.assert_close(both(PRED, TARGET, **keywords), expected)


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match='NWDLoss: constant is -1'):
        NWDLoss(-1)
    with pytest.raises(ValueError, match="NWDLoss: reduction is 'average'"):
        NWDLoss(reduction='average')
    with pytest.raises(ValueError, match="NWDLoss: reduction is 'median'"):
        NWDLoss()(PRED, TARGET, reduction_override='median')
    with pytest.raises(ValueError, match='BoxLossSum: losses is empty'):
        BoxLossSum([])
