# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Spatial pyramid pooling blocks."""

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from .types import ConfigType


class ChainedMaxPool(nn.Module):
    """The input and three max-pools of growing window, concatenated.

    Three 5x5 pools in a chain see 5, 9 and 13 pixels: exactly what pools of these sizes side by
    side would give, for a third of the comparisons.

    Shape:
        ``(N, C, H, W)`` -> ``(N, 4 * C, H, W)``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``x`` (N, C, H, W) into (N, 4 * C, H, W), the input first."""
        maps = [x]
        for _ in range(3):
            maps.append(self.pool(maps[-1]))
        return torch.cat(maps, dim=1)


class SPPF(nn.Module):
    """1x1 convolution to half the channels, chained pools, 1x1 convolution.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        norm_cfg: Normalization layer of every convolution.
        act_cfg: Activation layer of every convolution.

    Shape:
        ``(N, in_channels, H, W)`` -> ``(N, out_channels, H, W)``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm_cfg: ConfigType, act_cfg: ConfigType
    ) -> None:
        super().__init__()
        layer = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        hidden = in_channels // 2
        self.reduce = ConvModule(in_channels, hidden, 1, **layer)
        self.pool = ChainedMaxPool()
        self.expand = ConvModule(4 * hidden, out_channels, 1, **layer)

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``x`` (N, in_channels, H, W) into (N, out_channels, H, W)."""
        return self.expand(self.pool(self.reduce(x)))


class SPPCSPC(nn.Module):
    """Spatial pyramid pooling on one of two branches of a cross-stage partial block.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output and of every hidden map.
        norm_cfg: Normalization layer of every convolution.
        act_cfg: Activation layer of every convolution.

    Shape:
        ``(N, in_channels, H, W)`` -> ``(N, out_channels, H, W)``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm_cfg: ConfigType, act_cfg: ConfigType
    ) -> None:
        super().__init__()
        layer = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self.before_pool = nn.Sequential(
            ConvModule(in_channels, out_channels, 1, **layer),
            ConvModule(out_channels, out_channels, 3, padding=1, **layer),
            ConvModule(out_channels, out_channels, 1, **layer),
        )
        self.pool = ChainedMaxPool()
        self.after_pool = nn.Sequential(
            ConvModule(4 * out_channels, out_channels, 1, **layer),
            ConvModule(out_channels, out_channels, 3, padding=1, **layer),
        )
        self.shortcut = ConvModule(in_channels, out_channels, 1, **layer)
        self.fuse = ConvModule(2 * out_channels, out_channels, 1, **layer)

    def forward(self, x: Tensor) -> Tensor:
        """Fuse the pooled and the direct branch of ``x`` into (N, out_channels, H, W)."""
        pooled = self.after_pool(self.pool(self.before_pool(x)))
        return self.fuse(torch.cat([pooled, self.shortcut(x)], dim=1))
