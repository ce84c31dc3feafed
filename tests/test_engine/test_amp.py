# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""--amp: bfloat16 on the CPU, float16 with a scaler on CUDA."""

import copy
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from torch import nn

from smallobj_mm.compat.mmengine_internals import cpu_computes_bfloat16
from smallobj_mm.engine import enable_amp
from smallobj_mm.engine.optim import amp
from smallobj_mm.registry import OPTIM_WRAPPERS

needs_bfloat16 = pytest.mark.skipif(
    not cpu_computes_bfloat16(), reason='this CPU does not compute in bfloat16'
)


def make(kind: str = 'BFloat16OptimWrapper', **options: Any) -> tuple[nn.Module, OptimWrapper]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.SiLU(), nn.Flatten(), nn.Linear(8 * 36, 1)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    return model, OPTIM_WRAPPERS.build(dict(type=kind, optimizer=optimizer, **options))


def step(model: nn.Module, wrapper: OptimWrapper, images: torch.Tensor) -> float:
    with wrapper.optim_context(model):
        output = model(images)
    loss = (output.float().flatten() - images.mean((1, 2, 3))).square().mean()
    wrapper.update_params(loss)
    return float(loss.detach())


@pytest.mark.skipif(torch.cuda.is_available(), reason='what happens without CUDA')
def test_a_cpu_without_bfloat16_stays_in_float32(monkeypatch: Any) -> None:
    """It would be an order of magnitude slower."""
    monkeypatch.setattr(amp, 'cpu_computes_bfloat16', lambda: False)
    lines = []
    monkeypatch.setattr(amp, 'print_log', lambda line, **_: lines.append(line))
    cfg = Config(dict(optim_wrapper=dict(type='SumOptimWrapper', accumulative_counts=2)))
    assert enable_amp(cfg) is cfg
    assert cfg.optim_wrapper == dict(type='SumOptimWrapper', accumulative_counts=2)
    assert len(lines) == 1 and 'this CPU does not compute in bfloat16' in lines[0]


@needs_bfloat16
@pytest.mark.skipif(torch.cuda.is_available(), reason='what happens without CUDA')
@pytest.mark.parametrize(
    'given, expected',
    [
        ('OptimWrapper', 'BFloat16OptimWrapper'),
        ('AmpOptimWrapper', 'BFloat16OptimWrapper'),
        ('SumOptimWrapper', 'SumBFloat16OptimWrapper'),
        (OptimWrapper, 'BFloat16OptimWrapper'),
    ],
)
def test_enable_on_cpu(given: Any, expected: str) -> None:
    cfg = Config(dict(optim_wrapper=dict(type=given, loss_scale='dynamic', accumulative_counts=2)))
    assert enable_amp(cfg) is cfg
    assert cfg.optim_wrapper == dict(type=expected, accumulative_counts=2)


@pytest.mark.parametrize(
    'given, expected',
    [('OptimWrapper', 'AmpOptimWrapper'), ('SumOptimWrapper', 'SumAmpOptimWrapper')],
)
def test_enable_on_cuda(given: str, expected: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = enable_amp(Config(dict(optim_wrapper=dict(type=given))))
    assert cfg.optim_wrapper == dict(type=expected, loss_scale='dynamic')


@pytest.mark.parametrize(
    'cfg, match',
    [
        (dict(), 'optim_wrapper is missing'),
        (
            dict(optim_wrapper=dict(type='ApexOptimWrapper')),
            "'ApexOptimWrapper', which has no mixed",
        ),
    ],
)
def test_enable_errors(cfg: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        enable_amp(Config(cfg))


@pytest.mark.skipif(torch.cuda.is_available(), reason='autocasts the training device')
def test_trains_in_bfloat16() -> None:
    """Activations are bfloat16, weights and their state float32, and the loss falls."""
    model, wrapper = make()
    with wrapper.optim_context(model):
        assert model(torch.rand(2, 1, 8, 8)).dtype == torch.bfloat16
    images = torch.rand(8, 1, 8, 8) * torch.linspace(0, 4, 8).view(8, 1, 1, 1)
    losses = [step(model, wrapper, images) for _ in range(40)]
    assert losses[-1] < 0.2 * losses[0]
    assert {param.dtype for param in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    'extra', [dict(), dict(loss_scaler=dict(scale=1.0))], ids=['bfloat16', 'float16 run']
)
def test_state_resumes(extra: dict) -> None:
    """A resumed wrapper takes the same step; a float16 run's state is accepted too."""
    images = torch.rand(8, 1, 8, 8)
    model, wrapper = make()
    step(model, wrapper, images)
    other, resumed = make()
    other.load_state_dict(model.state_dict())
    resumed.load_state_dict({**copy.deepcopy(wrapper.state_dict()), **extra})
    step(model, wrapper, images)
    step(other, resumed, images)
    for first, second in zip(model.parameters(), other.parameters()):
        assert torch.equal(first, second)


@pytest.mark.parametrize('kind', ['SumOptimWrapper', 'SumBFloat16OptimWrapper'])
def test_gradients_add_up(kind: str) -> None:
    """Four batches of 2 with a loss times the batch size step as one batch of 8 does."""
    images = torch.rand(8, 1)
    weights = []
    for batch, counts in ((8, 1), (2, 4)):
        layer = nn.Linear(1, 1)
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
        wrapper = OPTIM_WRAPPERS.build(
            dict(
                type=kind,
                optimizer=torch.optim.SGD(layer.parameters(), lr=0.1),
                accumulative_counts=counts,
            )
        )
        for part in images.split(batch):
            wrapper.update_params(layer(part).square().mean() * batch)
        weights.append(layer.weight.item())
    assert weights[0] == pytest.approx(weights[1], abs=1e-6) != 1
