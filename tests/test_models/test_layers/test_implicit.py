# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch import nn

from smallobj_mm.models.layers import ImplicitAdd, ImplicitConv, ImplicitMul


@pytest.mark.parametrize('kind, mean', [(ImplicitAdd, 0.0), (ImplicitMul, 1.0)])
def test_initial_values(kind, mean):
    vector = kind(4096).implicit
    assert vector.shape == (1, 4096, 1, 1)
    assert vector.mean().item() == pytest.approx(mean, abs=0.002)
    assert vector.std().item() == pytest.approx(0.02, rel=0.1)


def test_per_channel():
    x = torch.randn(2, 3, 4, 4)
    add, mul = ImplicitAdd(3), ImplicitMul(3)
    values = torch.tensor([1.0, -2.0, 3.0])
    for module in (add, mul):
        module.implicit.data = values.view(1, 3, 1, 1)
    for channel, value in enumerate(values):
        assert torch.equal(add(x)[:, channel], x[:, channel] + value)
        assert torch.equal(mul(x)[:, channel], x[:, channel] * value)


@torch.no_grad()
def test_deployed_is_equal(randomize):
    block = randomize(ImplicitConv(6, 9))
    x = torch.randn(2, 6, 5, 4)
    expected = block(x)
    plain = block.conv(x)
    assert (expected - plain).abs().max() > 0.1  # or the vectors would not be tested
    for _ in range(2):
        block.switch_to_deploy()
        torch.testing.assert_close(block(x), expected, atol=1e-4, rtol=0)
    assert [name for name, _ in block.named_parameters()] == ['conv.weight', 'conv.bias']
    assert isinstance(block.conv, nn.Conv2d)
