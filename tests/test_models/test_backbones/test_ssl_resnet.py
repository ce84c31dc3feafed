# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import torchvision
from torch import nn

from smallobj_mm.models.backbones import SSLResNet18


@pytest.mark.parametrize('out_indices', [(1, 2, 3), (0, 1, 2, 3), (3,)])
def test_strides_and_channels(out_indices):
    outs = SSLResNet18(out_indices=out_indices)(torch.rand(2, 3, 64, 96))
    expected = [(2, 64 << i, 16 >> i, 24 >> i) for i in out_indices]
    assert [tuple(out.shape) for out in outs] == expected


@torch.no_grad()
def test_equals_torchvision(randomize):
    """The same names, and with the same numbers the same maps."""
    reference = torchvision.models.resnet18(norm_layer=lambda c: nn.BatchNorm2d(c, eps=1e-3))
    randomize(reference).eval()
    names = {k for k in reference.state_dict() if not k.startswith('fc.')}
    model = SSLResNet18()
    model.eval()
    assert set(model.state_dict()) == names and len(names) == 120
    model.load_state_dict({k: reference.state_dict()[k] for k in names})
    x = torch.rand(1, 3, 64, 64)
    y = reference.maxpool(reference.relu(reference.bn1(reference.conv1(x))))
    for i, out in enumerate([None, *model(x)]):
        y = getattr(reference, f'layer{i + 1}')(y)
        if i:
            torch.testing.assert_close(out, y, atol=1e-4, rtol=1e-4)


def test_norms_are_those_of_the_detector():
    norms = [m for m in SSLResNet18().modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 20
    assert {(m.eps, m.momentum) for m in norms} == {(1e-3, 0.03)}


def test_residuals_do_not_start_at_zero():
    model = SSLResNet18()
    model.init_weights()
    assert model.layer1[0].bn2.weight.min() == 1


def test_every_parameter_is_trained(without_gradient):
    model = SSLResNet18()
    sum(out.square().mean() for out in model(torch.rand(2, 3, 64, 64))).backward()
    assert without_gradient(model) == []


def test_frozen_stages():
    model = SSLResNet18(frozen_stages=2)
    model.train()
    frozen = {name.split('.')[0] for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {'conv1', 'bn1', 'layer1', 'layer2'}
    assert not model.layer1.training and model.layer3.training


@pytest.mark.filterwarnings('ignore:.*use_reentrant')
def test_norm_eval_and_checkpointing_give_the_same():
    plain, checkpointed = SSLResNet18(norm_eval=True), SSLResNet18(norm_eval=True, with_cp=True)
    checkpointed.load_state_dict(plain.state_dict())
    x = torch.rand(2, 3, 64, 64)
    results = []
    for model in (plain, checkpointed):
        model.train()
        assert not model.bn1.training
        out = model(x)[-1]
        out.sum().backward()
        results.append((out.detach(), model.layer2[0].conv1.weight.grad))
    for a, b in zip(*results):
        torch.testing.assert_close(a, b)


def test_half_the_width_and_no_stage_that_is_not_used():
    model = SSLResNet18(out_indices=(0, 1, 2), base_channels=32)
    outs = model(torch.rand(1, 3, 64, 64))
    assert [out.shape[1] for out in outs] == [32, 64, 128]
    assert not hasattr(model, 'layer4') and model.conv1.out_channels == 32
