# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Convolution with a second branch for training that folds away for deployment."""

import torch
from mmcv.cnn import ConvModule, build_activation_layer
from mmcv.cnn.utils import fuse_conv_bn
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from .types import ConfigType


class RepConv(nn.Module):
    """3x3 convolution plus 1x1 convolution, each with its normalization, then the activation.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        norm_cfg: Normalization layer of both branches.
        act_cfg: Activation layer behind the sum.

    Shape:
        ``(N, in_channels, H, W)`` -> ``(N, out_channels, H, W)``.

    Source: Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", without the identity.
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm_cfg: ConfigType, act_cfg: ConfigType
    ) -> None:
        super().__init__()
        self.conv3x3 = ConvModule(
            in_channels, out_channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=None
        )
        self.conv1x1 = ConvModule(in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.act = build_activation_layer(act_cfg)
        self.deployed: nn.Conv2d | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (N, in_channels, H, W) into (N, out_channels, H, W), folded or not."""
        if self.deployed is not None:
            return self.act(self.deployed(x))
        return self.act(self.conv3x3(x) + self.conv1x1(x))

    @torch.no_grad()
    def switch_to_deploy(self) -> None:
        """Fold both branches and their normalization into one 3x3 convolution, in place.

        Norms that depend on the image (GN, LN) fold into nothing: with them the branches stay.
        """
        if self.deployed is not None:
            return
        for norm in (self.conv3x3.norm, self.conv1x1.norm):
            if not isinstance(norm, (_BatchNorm, nn.Identity, type(None))):
                return
        conv3x3 = fuse_conv_bn(self.conv3x3).conv
        conv1x1 = fuse_conv_bn(self.conv1x1).conv
        conv3x3.weight.add_(functional.pad(conv1x1.weight, [1, 1, 1, 1]))
        conv3x3.bias.add_(conv1x1.bias)
        self.deployed = conv3x3
        del self.conv3x3, self.conv1x1
