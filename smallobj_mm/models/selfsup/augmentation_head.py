# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Heads that predict from the features of two views how the views differ."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import torch
from mmengine.model import BaseModule
from mmpretrain.models.necks import NonLinearNeck
from torch import Tensor, nn
from torch.nn import functional as F

from smallobj_mm.datasets.transforms.view_differences import TARGETS
from smallobj_mm.datasets.transforms.view_options import is_number
from smallobj_mm.models.layers.types import ConfigType
from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError

from .agreement import is_list_of_numbers
from .multi_stage import NORM


@MODELS.register_module()
class AugmentationAwareHead(BaseModule):
    """For each stage and target an MLP from the features of both views to their difference.

    Features that forget where a crop was taken or how bright it is are of little use to a
    detector; these heads make the backbone keep them.

    The MLP has two hidden layers with BN and ReLU. It is run on (y1, y2) for the difference d and
    on (y2, y1) for -d, in one batch, and the loss is the mean over both: the squared error of
    tanh(output), or the cross entropy for the rotation.

    Source: Lee et al., AugSelf, 2021, section 3.

    Args:
        weights: Name of a target -> weight of its loss; negative: off. The names are those of
            ``smallobj_mm.datasets.transforms.view_differences.TARGETS``.
        in_channels: Channels of each stage.
        hid_channels: Channels of the hidden layers.
        norm_cfg: Normalization of vectors.
        init_cfg: Initialization; PyTorch's when not given.

    Raises:
        UserError: If a target is unknown, none is on, or in_channels is no list of numbers.
    """

    def __init__(
        self,
        weights: Mapping[str, float] = dict(
            crop=0.5, color=0.5, flip=-1, blur=-1, rotation=-1, solarize=-1
        ),
        in_channels: Sequence[int] = (64, 128, 256, 512),
        hid_channels: int = 512,
        norm_cfg: ConfigType = NORM,
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        known = isinstance(weights, Mapping) and set(weights) <= set(TARGETS)
        numbers = known and all(is_number(weight, -math.inf) for weight in weights.values())
        if not numbers or max(weights.values(), default=-1) < 0:
            raise UserError(
                f'AugmentationAwareHead: weights is {weights}, expected a number of 0 or more for '
                f'some of {", ".join(TARGETS)} (negative: off); auxiliary_head=None has none of '
                'them'
            )
        self.weights = {name: weight for name, weight in weights.items() if weight >= 0}
        if not is_list_of_numbers(in_channels, 1):
            raise UserError(
                f'AugmentationAwareHead: in_channels is {in_channels}, expected a number for each '
                'stage'
            )
        self.in_channels = tuple(in_channels)
        self.stages = nn.ModuleList(
            nn.ModuleDict(
                {
                    name: NonLinearNeck(
                        in_channels=2 * channels,
                        hid_channels=hid_channels,
                        out_channels=TARGETS[name].outputs,
                        num_layers=3,
                        with_last_bn=False,
                        with_last_bias=True,
                        with_avg_pool=False,
                        norm_cfg=norm_cfg,
                    )
                    for name in self.weights
                }
            )
            for channels in in_channels
        )

    def loss(
        self, first: Sequence[Tensor], second: Sequence[Tensor], targets: Mapping[str, Tensor]
    ) -> list[dict[str, Tensor]]:
        """Losses of all heads.

        Args:
            first: Pooled features ``(N, C_i)`` of the first view, one a stage.
            second: Those of the second view.
            targets: Differences of the first from the second view, ``(N, outputs)``, or
                ``(N,)`` integers for classes.

        Returns:
            For each stage: name -> loss, not weighted.
        """
        stages = cast('Iterable[nn.ModuleDict]', self.stages)
        return [
            {name: self._pair_loss(mlp, name, y1, y2, targets[name]) for name, mlp in mlps.items()}
            for mlps, y1, y2 in zip(stages, first, second, strict=True)
        ]

    def _pair_loss(
        self, mlp: nn.Module, name: str, y1: Tensor, y2: Tensor, change: Tensor
    ) -> Tensor:
        inputs = torch.cat([torch.cat([y1, y2], dim=1), torch.cat([y2, y1], dim=1)])
        outputs = mlp((inputs,))[0]
        if TARGETS[name].classes:
            return F.cross_entropy(outputs, torch.cat([change, -change % TARGETS[name].outputs]))
        return F.mse_loss(outputs.tanh(), torch.cat([change, -change]).to(outputs.dtype))
