# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite0, the EfficientNet without squeeze-and-excitation, for small objects."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from smallobj_mm.models.layers.types import ConfigType
from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError

STEM_CHANNELS = 32
_ACT = dict(type='ReLU6')


class _Block(NamedTuple):
    """One inverted residual block: kernel size, stride, ratio of the expansion, channels."""

    kernel_size: int
    stride: int
    expand_ratio: int
    out_channels: int


#: The blocks of each output level: maps of stride 4, 8, 16 and 32 leave the last one of a level.
LEVELS: tuple[tuple[_Block, ...], ...] = (
    (_Block(3, 1, 1, 16), _Block(3, 2, 6, 24), _Block(3, 1, 6, 24)),
    (_Block(5, 2, 6, 40), _Block(5, 1, 6, 40)),
    (_Block(3, 2, 6, 80), *[_Block(3, 1, 6, 80)] * 2, *[_Block(5, 1, 6, 112)] * 3),
    (_Block(5, 2, 6, 192), *[_Block(5, 1, 6, 192)] * 3, _Block(3, 1, 6, 320)),
)


class SameConv2d(nn.Conv2d):
    """Convolution of stride 2 with TensorFlow's "SAME" padding of maps with even sides.

    The padding is one pixel larger at the right and at the bottom. In place of the map, the kernel
    is padded, by a row of zeros at the top and a column at the left, so that nothing of the size
    of the map is copied; the padding is the same on all sides then. For deployment the padded
    kernel takes the place of the kernel, and this is an ordinary convolution.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the kernel in pixels, odd.
        stride: Must be 2.
        padding: Must be 0, the padding is found here.
        dilation: Must be 1.
        groups: As in :class:`torch.nn.Conv2d`.
        bias: As in :class:`torch.nn.Conv2d`.

    Raises:
        UserError: If an argument is none of these.

    Shape:
        ``(N, in_channels, 2 * H, 2 * W)`` -> ``(N, out_channels, H, W)``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 2,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        if kernel_size % 2 == 0 or (stride, padding, dilation) != (2, 0, 1):
            raise UserError(
                f'SameConv2d: kernel_size {kernel_size}, stride {stride}, padding {padding} and '
                f'dilation {dilation}, expected an odd kernel, stride 2, padding 0, dilation 1'
            )
        super().__init__(in_channels, out_channels, kernel_size, 2, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (N, in_channels, 2 * H, 2 * W) into (N, out_channels, H, W)."""
        if self.deployed:
            return super().forward(x)
        padding = (self.kernel_size[0] - 1) // 2
        return functional.conv2d(x, self._padded(), self.bias, 2, padding, 1, self.groups)

    def _padded(self) -> Tensor:
        return functional.pad(self.weight, (1, 0, 1, 0))

    @property
    def deployed(self) -> bool:
        """Whether the kernel is the padded one, whose sides are even."""
        return self.kernel_size[0] % 2 == 0

    @torch.no_grad()
    def switch_to_deploy(self) -> None:
        """Keep the padded kernel in place of the kernel."""
        if not self.deployed:
            self.padding = tuple((side - 1) // 2 for side in self.kernel_size)
            self.weight = nn.Parameter(self._padded(), requires_grad=self.weight.requires_grad)
            self.kernel_size = tuple(self.weight.shape[2:])


def _conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int,
    norm_cfg: ConfigType,
    groups: int = 1,
) -> ConvModule:
    """Convolution, norm, ReLU6."""
    return ConvModule(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=kernel_size // 2 if stride == 1 else 0,
        groups=groups,
        conv_cfg=dict(type=SameConv2d) if stride == 2 else None,
        norm_cfg=norm_cfg,
        act_cfg=_ACT,
    )


class InvertedBottleneck(nn.Module):
    """1x1 expansion, depthwise convolution, linear 1x1 projection; residual where shapes allow.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the depthwise kernel, in pixels.
        stride: Stride of the depthwise convolution, 1 or 2.
        expand_ratio: Hidden channels over input channels; 1 leaves the expansion out.
        norm_cfg: Normalization layer.

    Shape:
        ``(N, in_channels, H, W)`` -> ``(N, out_channels, H / stride, W / stride)``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        expand_ratio: int,
        norm_cfg: ConfigType,
    ) -> None:
        super().__init__()
        hidden = in_channels * expand_ratio
        self.residual = stride == 1 and in_channels == out_channels
        self.expand = (
            ConvModule(in_channels, hidden, 1, norm_cfg=norm_cfg, act_cfg=_ACT)
            if expand_ratio > 1
            else nn.Identity()
        )
        self.depthwise = _conv(hidden, hidden, kernel_size, stride, norm_cfg, groups=hidden)
        self.project = ConvModule(hidden, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        out = self.project(self.depthwise(self.expand(x)))
        return x + out if self.residual else out


@MODELS.register_module()
class EfficientNetLite0(BaseModule):
    """EfficientNet-Lite0 as a backbone; only the levels up to the coarsest output are built.

    Depthwise blocks with ReLU6 and without squeeze-and-excitation. Images are normalized to
    ``(RGB - 127) / 128``, and padding is TensorFlow's, so that the ImageNet weights fit::

        data_preprocessor=dict(mean=[127] * 3, std=[128] * 3, bgr_to_rgb=True, ...),
        backbone=dict(
            type='EfficientNetLite0',
            init_cfg=dict(type='EfficientNetLite0Pretrained'))

    Args:
        out_indices: Levels whose maps are returned: 0 to 3 for strides 4, 8, 16, 32, with 24, 40,
            112, 320 channels.
        frozen_levels: Levels that are not trained, the stem included; -1 for none.
        norm_cfg: Normalization layer. The weights belong to BN with eps 1e-3.
        norm_eval: Keep the running statistics of BN during training.
        init_cfg: Initialization; ``dict(type='EfficientNetLite0Pretrained')`` for the ImageNet
            weights. Kaiming when not given.

    Raises:
        UserError: If ``out_indices`` is empty, not rising, or outside 0 to 3; when called: if the
            sides of an image are no multiples of the largest stride.

    Shape:
        ``(N, 3, H, W)`` -> tuple of ``(N, C_i, H / s_i, W / s_i)``.

    Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    ICML 2019; the Lite variants are of TensorFlow's TPU models (2020).
    """

    def __init__(
        self,
        out_indices: Sequence[int] = (0, 1, 2),
        frozen_levels: int = -1,
        norm_cfg: ConfigType = dict(type='BN', momentum=0.03, eps=1e-3),
        norm_eval: bool = False,
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = [
                dict(type='Kaiming', layer='Conv2d'),
                dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
            ]
        super().__init__(init_cfg)
        indices = tuple(out_indices)
        if not indices or indices != tuple(sorted(set(indices))) or not {0, 1, 2, 3} >= {*indices}:
            raise UserError(
                f'EfficientNetLite0: out_indices is {indices}, expected rising levels among 0 to '
                '3 (strides 4, 8, 16, 32)'
            )
        if not -1 <= frozen_levels <= indices[-1]:
            raise UserError(
                f'EfficientNetLite0: frozen_levels is {frozen_levels}, expected -1 (none) to '
                f'{indices[-1]}, the last level of out_indices'
            )
        self.out_indices = indices
        self.frozen_levels = frozen_levels
        self.norm_eval = norm_eval
        # Not a ConvModule by itself: mmengine would let it initialize itself after init_cfg.
        self.stem = nn.Sequential(_conv(3, STEM_CHANNELS, 3, 2, norm_cfg))
        self.levels = nn.ModuleList()
        channels = STEM_CHANNELS
        for blocks in LEVELS[: indices[-1] + 1]:
            level = nn.Sequential()
            for block in blocks:
                level.append(
                    InvertedBottleneck(
                        channels,
                        block.out_channels,
                        block.kernel_size,
                        block.stride,
                        block.expand_ratio,
                        norm_cfg,
                    )
                )
                channels = block.out_channels
            self.levels.append(level)
        self.out_channels = tuple(LEVELS[i][-1].out_channels for i in indices)
        self._freeze()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features of images ``x`` (N, 3, H, W), one map for each of ``out_indices``."""
        stride = 4 * 2 ** self.out_indices[-1]
        if not torch.jit.is_tracing() and (x.shape[-2] % stride or x.shape[-1] % stride):
            raise UserError(
                f'EfficientNetLite0: images of {x.shape[-2]}x{x.shape[-1]} px, expected multiples '
                f'of {stride}; set pad_size_divisor={stride} in the data preprocessor'
            )
        x = self.stem(x)
        outs = []
        for index, level in enumerate(self.levels):
            x = level(x)
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def train(self, mode: bool = True) -> 'EfficientNetLite0':
        """Switch to training; frozen levels and, with ``norm_eval``, all norms stay as they are."""
        super().train(mode)
        self._freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze(self) -> None:
        if self.frozen_levels < 0:
            return
        for part in (self.stem, *self.levels[: self.frozen_levels + 1]):
            part.eval()
            for parameter in part.parameters():
                parameter.requires_grad = False
