# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch.nn import functional

from smallobj_mm.models.layers import SPPCSPC, SPPF, ChainedMaxPool


@pytest.mark.parametrize('size', [(1, 1), (4, 7), (20, 16)])
def test_chained_pools_are_pools_side_by_side(size):
    x = torch.randn(2, 3, *size)
    pools = [functional.max_pool2d(x, k, stride=1, padding=k // 2) for k in (5, 9, 13)]
    assert torch.equal(ChainedMaxPool()(x), torch.cat([x, *pools], dim=1))


def test_sppf(layer):
    block = SPPF(8, 12, **layer).eval()
    x = torch.randn(2, 8, 9, 9)
    hidden = block.reduce(x)
    assert hidden.shape[1] == 4
    pools = [functional.max_pool2d(hidden, k, stride=1, padding=k // 2) for k in (5, 9, 13)]
    torch.testing.assert_close(block(x), block.expand(torch.cat([hidden, *pools], dim=1)))
    assert block(x).shape == (2, 12, 9, 9)


def test_sppcspc(layer):
    block = SPPCSPC(8, 4, **layer).eval()
    x = torch.randn(2, 8, 7, 9)
    y = x
    for conv in block.before_pool:
        y = conv(y)
    pools = [functional.max_pool2d(y, k, stride=1, padding=k // 2) for k in (5, 9, 13)]
    y = block.after_pool(torch.cat([y, *pools], dim=1))
    torch.testing.assert_close(block(x), block.fuse(torch.cat([y, block.shortcut(x)], dim=1)))
    kernels = [c.conv.kernel_size[0] for c in [*block.before_pool, *block.after_pool]]
    assert kernels == [1, 3, 1, 1, 3] and block(x).shape == (2, 4, 7, 9)
