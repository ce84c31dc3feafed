# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import copy

import pytest
import torch
from torch import nn

from smallobj_mm.models.layers import ImplicitConv, RepConv
from smallobj_mm.models.utils import switch_to_deploy


@pytest.mark.parametrize('stride4', [False, True])
@pytest.mark.parametrize('decoupled', [False, True])
@pytest.mark.parametrize('decoupling', ['spatial', 'none'])
@torch.no_grad()
def test_whole_detector(build_detector, randomize, stride4, decoupled, decoupling):
    model = build_detector(stride4=stride4, decoupled=decoupled, decoupling=decoupling)
    randomize(model).eval()
    image = torch.rand(2, 3, 64, 96)
    expected = model(image, mode='tensor')
    assert isinstance(expected, tuple) and len(expected) == 3 + stride4
    scale = max(o.abs().max().item() for o in expected)
    assert scale > 0.1
    for _ in range(2):  # twice: folding again does no harm
        assert switch_to_deploy(model) is model
        for got, want in zip(model(image, mode='tensor'), expected):
            torch.testing.assert_close(got / scale, want / scale, atol=1e-4, rtol=0)


@torch.no_grad()
def test_nothing_is_left_to_fold(build_detector, randomize):
    model = switch_to_deploy(randomize(build_detector()))
    assert not model.training
    left = [n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
    # Behind a concatenation there is no convolution to fold into.
    assert left == ['neck.bottom_up_16.fuse.norm']
    assert not any(n.endswith('implicit') for n, _ in model.named_parameters())
    for module in model.modules():
        if isinstance(module, RepConv):
            assert module.deployed is not None
        if isinstance(module, ImplicitConv):
            assert isinstance(module.add, nn.Identity)


@torch.no_grad()
def test_deployed_weights_can_be_kept(build_detector, randomize):
    """A deployed model's state dict loads into another deployed model."""
    source, other = (switch_to_deploy(randomize(build_detector())) for _ in range(2))
    other.load_state_dict(source.state_dict(), strict=True)
    image = torch.rand(1, 3, 64, 64)
    for a, b in zip(source(image, mode='tensor'), other(image, mode='tensor')):
        assert torch.equal(a, b)


@torch.no_grad()
def test_a_copy_leaves_the_original_alone(build_detector):
    model = build_detector().eval()
    before = copy.deepcopy(model.state_dict())
    switch_to_deploy(copy.deepcopy(model))
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)


@torch.no_grad()
def test_any_model(randomize):
    """One of our layers alone, and a stock network."""
    norm = dict(type='BN')
    rep = randomize(RepConv(3, 4, norm, dict(type='ReLU'))).eval()
    net = randomize(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())).eval()
    x = torch.rand(1, 3, 8, 8)
    for model in (nn.Sequential(rep), net):
        expected = model(x)
        torch.testing.assert_close(switch_to_deploy(model)(x), expected, atol=1e-5, rtol=0)
        assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())


@torch.no_grad()
def test_shared_convolutions(randomize):
    """One convolution, two norms, as in RTMDet's head: folded once for each."""
    conv = nn.Conv2d(3, 3, 3, padding=1)
    model = nn.Sequential(
        nn.Sequential(conv, nn.BatchNorm2d(3)), nn.Sequential(conv, nn.BatchNorm2d(3))
    )
    model = randomize(model).eval()
    x = torch.rand(1, 3, 8, 8)
    expected = model(x)
    torch.testing.assert_close(switch_to_deploy(model)(x), expected, atol=1e-5, rtol=0)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
