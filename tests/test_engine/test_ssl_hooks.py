# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Hooks of self-supervised training: fixed rates, spread of features, nearest neighbors."""

import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from smallobj_mm.engine.hooks import FeatureSpreadHook, FixedLRHook, KNNAccuracyHook
from smallobj_mm.engine.hooks import feature_spread as module
from smallobj_mm.engine.hooks.knn_accuracy import knn_accuracy


def test_fixed_lr():
    groups = [
        dict(lr=0.01, initial_lr=0.05, fix_lr=True),
        dict(lr=0.01, initial_lr=0.05),
        dict(lr=0.03, fix_lr=True),
    ]
    runner = SimpleNamespace(
        optim_wrapper=SimpleNamespace(optimizer=SimpleNamespace(param_groups=groups))
    )
    FixedLRHook().before_train_iter(runner, 0)
    assert [group['lr'] for group in groups] == [0.05, 0.01, 0.03]


def test_measure():
    a = torch.randn(400, 64)
    spread, positive, other = module.measure(a, a)
    assert spread == pytest.approx(1, abs=0.05)
    assert positive == pytest.approx(1, abs=1e-5) and abs(other) < 0.05
    same = torch.randn(1, 64).expand(8, 64)
    spread, positive, other = module.measure(same, same)
    assert spread == pytest.approx(0, abs=1e-3) and other == pytest.approx(1, abs=1e-5)


class Neck(nn.Module):
    def forward(self, x):
        return x, x


@pytest.fixture
def runner():
    hub = MessageHub.get_instance('test_ssl_hooks')
    hub.log_scalars.clear()
    return SimpleNamespace(
        model=SimpleNamespace(neck=Neck()),
        train_dataloader=range(100),
        iter=0,
        max_iters=1000,
        message_hub=hub,
    )


def run(hook, runner, features, iterations):
    """One epoch, or its begin; returns the iterations that were measured."""
    measured = []
    hook.before_train_epoch(runner)
    for batch_idx in range(iterations):
        before = runner.message_hub.log_scalars.get('train/spread_stage1')
        count = before.data[1].size if before else 0
        hook.before_train_iter(runner, batch_idx)
        for _ in range(2):
            runner.model.neck(features)
        hook.after_train_iter(runner, batch_idx)
        runner.iter += 1
        after = runner.message_hub.log_scalars.get('train/spread_stage1')
        if after and after.data[1].size > count:
            measured.append(runner.iter)
    return measured


def test_spread_is_logged_and_collapse_is_said_once(runner, monkeypatch):
    said = []
    monkeypatch.setattr(module, 'print_log', lambda text, logger, level: said.append((text, level)))
    hook = FeatureSpreadHook(interval=2, patience=3)
    hook.before_train(runner)
    run(hook, runner, torch.randn(16, 8), 4)
    scalars = runner.message_hub.log_scalars
    assert set(scalars) == {
        f'train/{name}_stage{i}' for name in ('spread', 'positive', 'other') for i in (1, 2)
    }
    assert scalars['train/spread_stage1'].current() > 0.8 and not said
    run(hook, runner, torch.ones(16, 8), 12)
    assert len(said) == 2  # a stage each
    assert 'features of stage 1 have collapsed' in said[0][0] and said[0][1] == logging.WARNING
    hook.after_train(runner)
    assert not runner.model.neck._forward_hooks


def test_short_epochs_and_short_runs_are_measured(runner):
    """At the last batch of an epoch that has not been measured yet, and at the very last one."""
    hook = FeatureSpreadHook(interval=50)
    runner.train_dataloader = range(8)
    hook.before_train(runner)
    features = torch.randn(16, 8)
    assert [run(hook, runner, features, 8) for _ in range(7)] == [
        [8],
        [16],
        [24],
        [32],
        [40],
        [48],
        [50],
    ]
    runner.train_dataloader, runner.max_iters = range(100), runner.iter + 5
    assert run(hook, runner, features, 5) == [61]


def test_long_epochs_are_measured_as_ever(runner):
    hook = FeatureSpreadHook(interval=2)
    runner.train_dataloader = range(5)
    hook.before_train(runner)
    assert run(hook, runner, torch.randn(16, 8), 5) == [2, 4]
    assert run(hook, runner, torch.randn(16, 8), 5) == [6, 8, 10]


def test_a_last_batch_that_cannot_be_measured(runner):
    """One image has no others to differ from."""
    hook = FeatureSpreadHook()
    runner.train_dataloader = range(1)
    hook.before_train(runner)
    assert run(hook, runner, torch.randn(1, 8), 1) == []


def test_no_batch_is_an_error(runner):
    runner.train_dataloader = torch.utils.data.DataLoader(range(3), batch_size=4, drop_last=True)
    with pytest.raises(ValueError, match='3 images make no whole batch'):
        FeatureSpreadHook().before_train(runner)


def test_knn_accuracy():
    centers = torch.eye(3)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    bank = centers[labels] + 0.1 * torch.randn(6, 3)
    assert knn_accuracy(bank, labels, centers, torch.tensor([0, 1, 2])) == 1
    wrong = torch.tensor([0, 1, 1])
    assert knn_accuracy(bank, labels, centers, wrong, k=100) == pytest.approx(2 / 3)
    assert knn_accuracy(bank, labels, bank, labels, leave_one_out=True) == 1
    alone = torch.tensor([0, 1, 2])
    assert knn_accuracy(centers, alone, centers, alone, leave_one_out=True) == 0


@pytest.mark.parametrize(
    'make',
    [
        lambda: FeatureSpreadHook(interval=0),
        lambda: FeatureSpreadHook(collapsed_below=2),
        lambda: KNNAccuracyHook({}, k=0),
        lambda: KNNAccuracyHook({}, interval=0),
    ],
)
def test_bad_options(make):
    with pytest.raises(ValueError, match='expected 1 or more'):
        make()
