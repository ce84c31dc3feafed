# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Parameter groups, schedules, weight decay and average of the recipe."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from tiny import TinyModel, build_runner
from torch import nn

from smallobj_mm.engine.optim import decay_groups
from smallobj_mm.engine.schedulers import warmup_length
from smallobj_mm.registry import PARAM_SCHEDULERS

RECIPE = dict(
    type='OptimWrapper',
    constructor='DecayGroupsOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.937, nesterov=True, weight_decay=5e-4),
)


class Implicit(nn.Module):
    """As the detector stores its learned vectors: four dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.implicit = nn.Parameter(torch.zeros(1, 4, 1, 1))


def model() -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        Implicit(),
        nn.Linear(4, 2),
        nn.Linear(2, 2, bias=False),
        nn.LayerNorm([2, 2]),
        nn.PReLU(),
    )
    net[4].weight.requires_grad_(False)
    net.append(net[3])  # shared
    return net


def schedule(kind: str, epochs: int, epoch_length: int, **options: Any) -> tuple[Any, Any]:
    wrapper = build_optim_wrapper(model(), RECIPE)
    return wrapper, PARAM_SCHEDULERS.build(
        {**dict(type=kind, end=epochs, by_epoch=True, convert_to_iter_based=True), **options},
        default_args=dict(optimizer=wrapper, epoch_length=epoch_length),
    )


def test_groups() -> None:
    """Kernels decay; norms, vectors and biases do not; frozen and shared ones are handled."""
    net = model()
    names = {id(param): name for name, param in net.named_parameters()}
    groups = {
        kind: sorted(names[id(param)] for param in params)
        for kind, params in decay_groups(net).items()
    }
    assert groups == dict(
        decayed=['0.weight', '3.weight'],
        undecayed=['1.weight', '2.implicit', '5.weight', '6.weight'],
        biases=['0.bias', '1.bias', '3.bias', '5.bias'],
    )
    wrapper = build_optim_wrapper(net, RECIPE)
    decay = {group['name']: group['weight_decay'] for group in wrapper.optimizer.param_groups}
    assert decay == dict(decayed=5e-4, undecayed=0, biases=0)
    assert all(group['nesterov'] for group in wrapper.optimizer.param_groups)


def test_groups_errors() -> None:
    with pytest.raises(ValueError, match='paramwise_cfg.*remove'):
        build_optim_wrapper(model(), dict(RECIPE, paramwise_cfg=dict(norm_decay_mult=0.0)))
    with pytest.raises(ValueError, match='nothing to train'):
        build_optim_wrapper(nn.Linear(1, 1).requires_grad_(False), RECIPE)


def test_groups_without_decay() -> None:
    """An optimizer without weight decay gets the groups all the same."""
    cfg = dict(RECIPE, optimizer=dict(type='SGD', lr=0.1))
    names = [group['name'] for group in build_optim_wrapper(model(), cfg).optimizer.param_groups]
    assert names == ['decayed', 'undecayed', 'biases']


@pytest.mark.parametrize(
    'epoch_length, epochs, expected',
    [(100, 300, 1000), (1000, 300, 3000), (28, 20, 112), (1, 2, 1)],
)
def test_warmup_length(epoch_length: int, epochs: int, expected: int) -> None:
    """3 epochs, 1000 iterations at least, a fifth of the run at most."""
    assert warmup_length(epoch_length, epochs * epoch_length, 3, 1000, 0.2) == expected


def test_learning_rate() -> None:
    """Weights from 0, biases from 0.1, both onto one cosine from lr to a tenth of it."""
    wrapper, scheduler = schedule('WarmupOneCycleLR', epochs=300, epoch_length=20)
    weights, biases = wrapper.optimizer.param_groups[0], wrapper.optimizer.param_groups[2]
    total, warmup = 6000, 1000
    rates = []
    for _ in range(total):
        rates.append((weights['lr'], biases['lr']))
        wrapper.step()
        scheduler.step()

    def cosine(done: int) -> float:
        return 0.01 * (0.1 + 0.9 * (1 + math.cos(math.pi * done / total)) / 2)

    assert rates[0] == (0, 0.1)
    half = cosine(500) / 2
    assert rates[500] == pytest.approx((half, half + 0.05))
    for done in (warmup, 3000, 5999):
        assert rates[done] == pytest.approx((cosine(done),) * 2)
    assert rates[-1][0] == pytest.approx(0.001, rel=1e-3)
    assert wrapper.get_lr()['base_lr'][0] == pytest.approx(0.001, rel=1e-3)


def test_momentum() -> None:
    wrapper, scheduler = schedule('WarmupMomentum', epochs=10, epoch_length=1000)
    seen = []
    for _ in range(2001):
        seen.append(wrapper.optimizer.param_groups[0]['momentum'])
        wrapper.step()
        scheduler.step()
    assert seen[0] == pytest.approx(0.8)
    assert seen[1000] == pytest.approx(0.8685)
    assert seen[2000] == pytest.approx(0.937)


def test_schedules_resume() -> None:
    """A saved schedule goes on with the same values."""
    first = schedule('WarmupOneCycleLR', epochs=10, epoch_length=10)
    for _ in range(7):
        first[0].step()
        first[1].step()
    second = schedule('WarmupOneCycleLR', epochs=10, epoch_length=10)
    second[0].optimizer.load_state_dict(first[0].optimizer.state_dict())
    second[1].load_state_dict(first[1].state_dict())
    for _ in range(20):
        values = []
        for wrapper, scheduler in (first, second):
            wrapper.step()
            scheduler.step()
            values.append([group['lr'] for group in wrapper.optimizer.param_groups])
        assert values[0] == values[1]


@pytest.mark.parametrize(
    'options, match',
    [
        (dict(convert_to_iter_based=False), 'convert_to_iter_based'),
        (dict(convert_to_iter_based=False, by_epoch=False), 'convert_to_iter_based'),
        (dict(begin=2), 'begin is 2'),
        (dict(max_fraction=0.0), 'max_fraction is 0'),
    ],
)
def test_schedule_errors(options: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        schedule('WarmupMomentum', **{'epochs': 5, 'epoch_length': 5, **options})


def test_weight_decay_follows_the_batch(tmp_path: Path) -> None:
    """4 images × 2 batches a step of nominally 64; once more after resuming, not twice."""
    for epochs, resume in ((1, False), (2, True)):
        runner = build_runner(
            tmp_path / 'run',
            max_epochs=epochs,
            resume=resume,
            accumulative_counts=2,
            validate=False,
        )
        runner.train()
        decay = [group['weight_decay'] for group in runner.optim_wrapper.optimizer.param_groups]
        assert decay == pytest.approx([5e-4 * 8 / 64, 0, 0])


def test_average_counts_steps(tmp_path: Path) -> None:
    """8 batches, 2 to a step: 4 averages; BN statistics are averaged too."""
    runner = build_runner(
        tmp_path / 'run', max_epochs=2, accumulative_counts=2, model=TinyModel(), validate=False
    )
    runner.train()
    ema = next(hook for hook in runner.hooks if type(hook).__name__ == 'StepEMAHook').ema_model
    assert ema.steps == 4
    assert not torch.equal(ema.module.norm.running_mean, runner.model.norm.running_mean)


def test_average_formula() -> None:
    """The stock ExpMomentumEMA of the config has decay 0.9999 (1 - exp(-t / 2000))."""
    layers = pytest.importorskip('mmdet.models.layers')
    average = nn.Linear(1, 1)
    ema = layers.ExpMomentumEMA(average, momentum=0.0001, gamma=2000)
    for step in (1, 500, 20000):
        old = torch.zeros(1)
        ema.avg_func(old, torch.ones(1), torch.tensor(step - 1))
        assert 1 - old.item() == pytest.approx(0.9999 * (1 - math.exp(-step / 2000)), abs=1e-6)
