# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Implicit knowledge: one learned number a channel, added or multiplied."""

import torch
from torch import Tensor, nn


class ImplicitAdd(nn.Module):
    """Adds a learned vector to the channels.

    Args:
        channels: Number of channels.

    Shape:
        ``(N, channels, H, W)`` -> the same.

    Source: Wang et al., "You Only Learn One Representation: Unified Network for Multiple Tasks".
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.implicit = nn.Parameter(torch.empty(1, channels, 1, 1))
        nn.init.normal_(self.implicit, mean=0.0, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Add the vector to every pixel of ``x`` (N, channels, H, W)."""
        return x + self.implicit


class ImplicitMul(nn.Module):
    """Multiplies the channels by a learned vector; see :class:`ImplicitAdd`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.implicit = nn.Parameter(torch.empty(1, channels, 1, 1))
        nn.init.normal_(self.implicit, mean=1.0, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply every pixel of ``x`` (N, channels, H, W) by the vector."""
        return x * self.implicit


class ImplicitConv(nn.Module):
    """1x1 convolution with bias between an added and a multiplied implicit vector.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.

    Shape:
        ``(N, in_channels, H, W)`` -> ``(N, out_channels, H, W)``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.add: nn.Module = ImplicitAdd(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 1)
        self.mul: nn.Module = ImplicitMul(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (N, in_channels, H, W) into (N, out_channels, H, W)."""
        return self.mul(self.conv(self.add(x)))

    @torch.no_grad()
    def switch_to_deploy(self) -> None:
        """Fold both vectors into the convolution, in place."""
        if not isinstance(self.add, ImplicitAdd) or not isinstance(self.mul, ImplicitMul):
            return
        weight, scale = self.conv.weight, self.mul.implicit
        bias = self.conv.get_parameter('bias')
        bias.add_((weight * self.add.implicit).sum(dim=(1, 2, 3))).mul_(scale.flatten())
        weight.mul_(scale.transpose(0, 1))
        self.add, self.mul = nn.Identity(), nn.Identity()
