# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Network of the detection head."""

import math
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from smallobj_mm.models.layers import ImplicitConv, RepConv
from smallobj_mm.models.layers.types import ConfigType
from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError


@MODELS.register_module()
class DecoupledCrossHeadModule(BaseModule):
    """RepConv and a 1x1 predictor with implicit vectors on each level.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the levels.
        strides: Strides of the levels in pixels.
        num_anchors: Anchors per cell.
        decoupled: Separate branches for the classes and for box and objectness, each a RepConv
            that keeps the channels. Otherwise, as published, one branch that doubles them.
        norm_cfg: Normalization layer.
        act_cfg: Activation layer.
        init_cfg: Initialization, as everywhere in mmengine.

    Raises:
        UserError: If ``in_channels`` and ``strides`` differ in length.

    Shape:
        Tuple of ``(N, in_channels[i], H_i, W_i)`` -> tuple of
        ``(N, num_anchors * (5 + num_classes), H_i, W_i)``, anchor-major: x, y, w, h, objectness,
        classes of the first anchor, then of the second, all before the sigmoid.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: Sequence[int],
        strides: Sequence[int],
        num_anchors: int = 3,
        decoupled: bool = False,
        norm_cfg: ConfigType = dict(type='BN', momentum=0.03, eps=1e-3),
        act_cfg: ConfigType = dict(type='SiLU'),
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(in_channels) != len(strides):
            raise UserError(
                f'in_channels: found {len(in_channels)} levels, expected {len(strides)}, one for '
                'each stride of the prior generator'
            )
        self.num_classes = num_classes
        self.num_anchors = num_anchors
        self.strides = tuple(strides)
        self.decoupled = decoupled

        def branch(out: int, grow: int) -> nn.ModuleList:
            return nn.ModuleList(
                nn.Sequential(RepConv(c, grow * c, norm_cfg, act_cfg), ImplicitConv(grow * c, out))
                for c in in_channels
            )

        if decoupled:
            self.box_branch = branch(5 * num_anchors, 1)
            self.class_branch = branch(num_classes * num_anchors, 1)
        else:
            self.branch = branch((5 + num_classes) * num_anchors, 2)

    @torch.no_grad()
    def init_weights(self) -> None:
        """Start from 8 objects in a 640 x 640 image and the classes equally rare."""
        super().init_weights()
        class_bias = math.log(0.6 / (self.num_classes - 0.99))
        for level, stride in enumerate(self.strides):
            object_bias = math.log(8 / (640 / stride) ** 2)
            if self.decoupled:
                box = self._last_bias(self.box_branch, level).view(self.num_anchors, 5)
                box[:] = 0
                box[:, 4] = object_bias
                self._last_bias(self.class_branch, level).fill_(class_bias)
            else:
                bias = self._last_bias(self.branch, level).view(self.num_anchors, -1)
                bias[:] = 0
                bias[:, 4] = object_bias
                bias[:, 5:] = class_bias

    @staticmethod
    def _last_bias(branch: nn.ModuleList, level: int) -> Tensor:
        """Bias of the :class:`ImplicitConv` that ends a branch, before it is folded or after."""
        return branch.get_parameter(f'{level}.1.conv.bias')

    def forward(self, x: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Raw maps of all levels; see the class for the layout."""
        if not self.decoupled:
            return tuple(branch(f) for branch, f in zip(self.branch, x))
        return tuple(
            self._interleave(box(f), classes(f))
            for box, classes, f in zip(self.box_branch, self.class_branch, x)
        )

    def _interleave(self, box: Tensor, classes: Tensor) -> Tensor:
        """Both branches' maps in the anchor-major layout of the coupled predictor."""
        n, _, h, w = box.shape
        box = box.reshape(n, self.num_anchors, 5, h, w)
        classes = classes.reshape(n, self.num_anchors, self.num_classes, h, w)
        return torch.cat([box, classes], dim=2).reshape(n, -1, h, w)
