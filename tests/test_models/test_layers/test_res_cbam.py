# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Residual attention blocks, against their definition written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from smallobj_mm.models.layers import (
    ChannelAttention,
    ResCBAMBlock,
    SpatialAttention,
    res_cbam_blocks,
)


def test_channel_attention():
    """Mean and maximum through the shared bottleneck one by one, summed, sigmoid."""
    layer = ChannelAttention(32).double()
    x = torch.randn(2, 32, 5, 7, dtype=torch.float64)

    def bottleneck(pooled):
        return layer.expand(F.relu(layer.reduce(pooled)))

    expected = bottleneck(F.adaptive_avg_pool2d(x, 1)) + bottleneck(F.adaptive_max_pool2d(x, 1))
    torch.testing.assert_close(layer(x), expected.sigmoid())
    assert layer.reduce.out_channels == 2
    assert layer.reduce.bias is None and layer.expand.bias is None


@pytest.mark.parametrize('channels', [4, 8, 15])
def test_bottleneck_keeps_a_channel(channels):
    assert ChannelAttention(channels)(torch.randn(1, channels, 3, 3)).shape == (1, channels, 1, 1)


def test_spatial_attention():
    layer = SpatialAttention().double()
    x = torch.randn(2, 8, 9, 11, dtype=torch.float64)
    pooled = torch.stack([x.mean(1), x.max(1).values], dim=1)
    expected = F.conv2d(pooled, layer.conv.weight, padding=3).sigmoid()
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize('in_channels', [16, 8])
def test_block(randomize, in_channels):
    """Channel attention before spatial attention, shortcut before the last ReLU."""
    block = randomize(ResCBAMBlock(in_channels, 16)).double().eval()
    x = torch.randn(2, in_channels, 6, 6, dtype=torch.float64)
    out = block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))))
    out = out * block.channel_attention(out)
    out = out * block.spatial_attention(out)
    torch.testing.assert_close(block(x), F.relu(out + block.shortcut(x)))
    assert isinstance(block.shortcut, nn.Identity) == (in_channels == 16)


def test_attention_weighs(randomize):
    """Without the attention the output is another one."""
    block = randomize(ResCBAMBlock(16, 16)).eval()
    x = torch.randn(1, 16, 8, 8)
    plain = F.relu(block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x))))) + x)
    assert (block(x) - plain).abs().max() > 0.01


def test_blocks_in_a_row():
    blocks = res_cbam_blocks(3, 8, 3)
    assert [block.conv1.in_channels for block in blocks] == [3, 8, 8]
    with pytest.raises(ValueError, match='num_blocks is 0'):
        res_cbam_blocks(3, 8, 0)


def test_without_attention(randomize):
    """A plain residual block, with fewer weights."""
    block = randomize(ResCBAMBlock(8, 16, attention=False)).eval()
    x = torch.randn(1, 8, 8, 8)
    plain = F.relu(block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x))))) + block.shortcut(x))
    torch.testing.assert_close(block(x), plain)
    assert not [name for name in block.state_dict() if 'attention' in name]
