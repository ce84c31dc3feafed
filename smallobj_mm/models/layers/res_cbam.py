# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Residual block with channel and spatial attention."""

import torch
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from smallobj_mm.utils.errors import UserError

from .attend_add import attend_add
from .types import ConfigType


class ChannelAttention(nn.Module):
    """Weight of each channel, from its mean and its maximum over the image.

    Both go through one shared bottleneck of two 1x1 convolutions; the sum's sigmoid is the weight.

    Args:
        channels: Number of channels.
        ratio: The bottleneck has ``channels // ratio`` channels, at least one.

    Source: Woo et al., CBAM, ECCV 2018, section 3.
    """

    def __init__(self, channels: int, ratio: int = 16) -> None:
        super().__init__()
        hidden = max(channels // ratio, 1)
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=False)
        self.expand = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Weights ``(N, C, 1, 1)`` in (0, 1) of features ``(N, C, H, W)``."""
        # Mean and maximum go through the bottleneck together, as two positions of one image.
        pooled = torch.stack([x.mean((2, 3)), x.amax((2, 3))], dim=2).unsqueeze(-1)
        logits = self.expand(self.reduce(pooled).relu())
        return logits.sum(2, keepdim=True).sigmoid()


class SpatialAttention(nn.Module):
    """Weight of each position, from the mean and the maximum of its channels.

    Args:
        kernel_size: Side of the convolution's kernel, odd.

    Source: Woo et al., CBAM, ECCV 2018, section 3.
    """

    def __init__(self, kernel_size: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Weights ``(N, 1, H, W)`` in (0, 1) of features ``(N, C, H, W)``."""
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return self.conv(pooled).sigmoid()


class ResCBAMBlock(nn.Module):
    """Two 3x3 convolutions, channel attention, spatial attention, and the shortcut.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        ratio: Of the channel attention's bottleneck.
        kernel_size: Of the spatial attention.
        norm_cfg: Normalization after each convolution.
        attention: Whether there is any; without, it is a plain residual block.

    Source: Hu et al., iSmallNet, ICASSP 2023, section 2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ratio: int = 16,
        kernel_size: int = 7,
        norm_cfg: ConfigType = {'type': 'BN'},
        attention: bool = True,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.bn1 = build_norm_layer(norm_cfg, out_channels)[1]
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = build_norm_layer(norm_cfg, out_channels)[1]
        self.attention = attention
        if attention:
            self.channel_attention = ChannelAttention(out_channels, ratio)
            self.spatial_attention = SpatialAttention(kernel_size)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1),
                build_norm_layer(norm_cfg, out_channels)[1],
            )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(N, out_channels, H, W)`` of features ``(N, in_channels, H, W)``."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if not self.attention:
            return self.relu(out + self.shortcut(x))
        if torch.is_grad_enabled() and out.requires_grad:
            return attend_add(
                out.contiguous(memory_format=torch.channels_last),
                self.shortcut(x),
                self.channel_attention.reduce.weight,
                self.channel_attention.expand.weight,
                self.spatial_attention.conv.weight,
            )
        out = out * self.channel_attention(out)
        out = out * self.spatial_attention(out)
        return self.relu(out + self.shortcut(x))


def res_cbam_blocks(
    in_channels: int,
    out_channels: int,
    num_blocks: int,
    norm_cfg: ConfigType = {'type': 'BN'},
    attention: bool = True,
) -> nn.Sequential:
    """Blocks in a row, the first of which changes the number of channels.

    Raises:
        UserError: If ``num_blocks`` is below 1.
    """
    if num_blocks < 1:
        raise UserError(f'num_blocks is {num_blocks}, expected at least 1')
    return nn.Sequential(
        *(
            ResCBAMBlock(
                out_channels if i else in_channels,
                out_channels,
                norm_cfg=norm_cfg,
                attention=attention,
            )
            for i in range(num_blocks)
        )
    )
