# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch import nn

from smallobj_mm.models.layers import ELAN


def test_order_of_the_maps(layer):
    """Newest first, the first 1x1 last; the chain starts at the second 1x1."""
    block = ELAN(4, 6, 2, 5, **layer, fuse=nn.Identity()).eval()
    x = torch.randn(2, 4, 8, 8)
    c = [block.second(x)]
    for conv in block.chain:
        c.append(conv(c[-1]))
    expected = [c[4], c[3], c[2], c[1], c[0], block.first(x)]
    out = block(x)
    assert out.shape[1] == ELAN.concat_channels(6, 2) == 20
    for got, want in zip(out.split([2, 2, 2, 2, 6, 6], dim=1), expected):
        assert torch.equal(got, want)


def test_shapes_and_layers(layer):
    block = ELAN(4, 6, 2, 5, **layer)
    assert block(torch.randn(2, 4, 8, 6)).shape == (2, 5, 8, 6)
    convs = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    assert sorted(m.kernel_size[0] for m in convs) == [1, 1, 1, 3, 3, 3, 3]
    assert all(m.bias is None for m in convs)
    norms = [m for m in block.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(m.eps, m.momentum) for m in norms} == {(1e-3, 0.03)} and len(norms) == 7


def test_wrong_channels_fail(layer):
    with pytest.raises(RuntimeError):
        ELAN(4, 6, 2, 5, **layer)(torch.randn(1, 3, 8, 8))


def test_chains_of_other_lengths(layer):
    for count in (1, 2, 6):
        block = ELAN(4, 6, 2, 5, **layer, num_convs=count)
        assert len(block.chain) == count
        assert block(torch.randn(2, 4, 8, 6)).shape == (2, 5, 8, 6)
        assert block.fuse.in_channels == ELAN.concat_channels(6, 2, count) == 12 + 2 * count
