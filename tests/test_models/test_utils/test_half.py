# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from smallobj_mm.models.utils import half
from smallobj_mm.models.utils.half import use_half


class Pair(NamedTuple):
    maps: list
    index: Tensor


class Head(nn.Conv2d):
    def forward(self, x):
        assert x.dtype == self.weight.dtype
        return Pair([super().forward(x)], torch.arange(3))

    def predict_by_feat(self, outs):
        return outs


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), Head(4, 2, 1)

    def forward(self, x, mode='tensor'):
        return self.head.predict_by_feat(self.head(self.norm(self.body(x))))


class Wrapper(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module


@torch.no_grad()
def test_a_cpu_without_bfloat16_stays_in_float32(monkeypatch):
    monkeypatch.setattr(half, 'cpu_computes_bfloat16', lambda: False)
    lines = []
    monkeypatch.setattr(half, 'print_log', lambda line, **_: lines.append(line))
    net = Net().eval()
    image = torch.rand(1, 3, 8, 8)
    expected = net(image).maps[0]
    assert use_half(net) is net
    assert torch.equal(net(image).maps[0], expected)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    assert len(lines) == 1 and 'this CPU does not compute in bfloat16' in lines[0]


@torch.no_grad()
def test_half_inside_and_full_outside(monkeypatch):
    monkeypatch.setattr(half, 'cpu_computes_bfloat16', lambda: True)  # slow where it does not
    net = Net().eval()
    image = torch.rand(1, 3, 8, 8)
    expected = net(image)
    state = {key: value.clone() for key, value in net.state_dict().items()}
    wrapper = Wrapper(net)
    assert use_half(wrapper) is wrapper
    for again in (False, True):
        found = net(image, mode='predict')
        assert found.maps[0].dtype == torch.float32 and found.index.dtype == torch.int64
        torch.testing.assert_close(found.maps[0], expected.maps[0], atol=0.02, rtol=0.02)
        assert not torch.equal(found.maps[0], expected.maps[0])
        assert net.body.weight.dtype == net.head.weight.dtype == torch.bfloat16
        assert net.norm.weight.dtype == torch.float32
        if not again:
            net.load_state_dict(state)  # weights may come after
    assert not torch.is_autocast_enabled('cpu')
    assert all('forward' not in vars(module) for module in net.modules())


class SegHead(nn.Module):
    """mmseg's heads are asked by their method, which no hook of theirs sees."""

    def __init__(self):
        super().__init__()
        self.conv_seg = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.conv_seg(x)

    def predict_by_feat(self, outs):
        return outs


@torch.no_grad()
def test_heads_that_are_not_called(monkeypatch):
    monkeypatch.setattr(half, 'cpu_computes_bfloat16', lambda: True)

    class SegNet(Net):
        def __init__(self):
            super().__init__()
            self.head = SegHead()

        def forward(self, x):
            return self.head.predict_by_feat(self.head.forward(self.norm(self.body(x))))

    assert use_half(SegNet().eval())(torch.rand(1, 3, 8, 8)).dtype == torch.float32


def test_autocast_ends_with_an_error(monkeypatch):
    monkeypatch.setattr(half, 'cpu_computes_bfloat16', lambda: True)
    net = use_half(Net().eval())
    for _ in range(2):
        with pytest.raises(TypeError):
            net(torch.rand(1, 3, 8, 8), wrong=1)
        assert not torch.is_autocast_enabled('cpu')
