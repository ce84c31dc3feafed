# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Efficient layer aggregation block."""

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from .types import ConfigType


class ELAN(nn.Module):
    """Two 1x1 convolutions of the input, a chain of 3x3 convolutions, all their maps aggregated.

    The chain starts at the second 1x1 convolution. The maps are concatenated newest first: the
    3x3 outputs from last to first, the second 1x1, the first 1x1.

    Args:
        in_channels: Channels of the input.
        hidden_channels: Channels of each of the two 1x1 convolutions.
        partial_channels: Channels of each 3x3 convolution.
        out_channels: Channels of the output.
        norm_cfg: Normalization layer of every convolution.
        act_cfg: Activation layer of every convolution.
        fuse: Module from :meth:`concat_channels` to ``out_channels`` that ends the block;
            a 1x1 convolution when not given.
        num_convs: Number of 3x3 convolutions in the chain; 4 in the published block.

    Shape:
        ``(N, in_channels, H, W)`` -> ``(N, out_channels, H, W)``.

    Source: Wang et al., "Designing Network Design Strategies Through Gradient Path Analysis".
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        partial_channels: int,
        out_channels: int,
        norm_cfg: ConfigType,
        act_cfg: ConfigType,
        fuse: nn.Module | None = None,
        num_convs: int = 4,
    ) -> None:
        super().__init__()
        layer = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self.first = ConvModule(in_channels, hidden_channels, 1, **layer)
        self.second = ConvModule(in_channels, hidden_channels, 1, **layer)
        self.chain = nn.ModuleList(
            ConvModule(
                hidden_channels if i == 0 else partial_channels,
                partial_channels,
                3,
                padding=1,
                **layer,
            )
            for i in range(num_convs)
        )
        self.fuse = fuse or ConvModule(
            self.concat_channels(hidden_channels, partial_channels, num_convs),
            out_channels,
            1,
            **layer,
        )

    @staticmethod
    def concat_channels(hidden_channels: int, partial_channels: int, num_convs: int = 4) -> int:
        """Channels of the concatenated map that the last layer receives."""
        return 2 * hidden_channels + num_convs * partial_channels

    def forward(self, x: Tensor) -> Tensor:
        """Aggregate the maps of ``x`` (N, in_channels, H, W) into (N, out_channels, H, W)."""
        maps = [self.first(x), self.second(x)]
        for conv in self.chain:
            maps.append(conv(maps[-1]))
        return self.fuse(torch.cat(maps[::-1], dim=1))
