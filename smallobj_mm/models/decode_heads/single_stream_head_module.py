# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Network of a head for one stream that learns the mask alone."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError

from ..layers import ConfigType, ResCBAMBlock
from .interior_boundary_fusion_head_module import build_laterals, join_levels


@MODELS.register_module()
class SingleStreamHeadModule(BaseModule):
    """Final map of one stream and the mask's logit: iSmallNet without the second stream.

    For ``InteriorBoundaryFusionHead`` behind a backbone and neck with ``num_streams=1``, to measure
    what the interior and the boundary stream are worth, or behind any stock encoder.

    Args:
        in_channels: Channels of each level, the finest first.
        channels: Channels of the maps that are joined.
        depth_to_space: Each position of the finest level gives the logits of a square of pixels of
            this side; the encoder's ``space_to_depth``.
        align_corners: Of the enlargements.
        norm_cfg: Normalization.
        init_cfg: Initialization, as in mmengine.

    Raises:
        UserError: If there are no levels.
    """

    #: What the outputs are.
    maps = ('mask',)

    def __init__(
        self,
        in_channels: Sequence[int] = (16, 32, 64, 128, 256),
        channels: int = 16,
        depth_to_space: int = 1,
        align_corners: bool = False,
        norm_cfg: ConfigType = {'type': 'BN'},
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not in_channels:
            raise UserError('SingleStreamHeadModule: in_channels is empty')
        self.num_levels = len(in_channels)
        self.channels = channels
        self.align_corners = align_corners
        self.depth_to_space = depth_to_space
        self.laterals = build_laterals(in_channels, channels)
        self.final = ResCBAMBlock(len(in_channels) * channels, channels, norm_cfg=norm_cfg)
        self.mask_logit = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            build_norm_layer(norm_cfg, channels)[1],
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, depth_to_space**2, 3, padding=1),
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor]:
        """Logit of the mask.

        Args:
            inputs: Maps ``(N, in_channels[i], H_i, W_i)``, the finest first.

        Returns:
            One map ``(N, 1, H_0 s, W_0 s)``, s being ``depth_to_space``.

        Raises:
            UserError: If there are not as many levels as ``in_channels``.
        """
        return self.forward_with_levels(inputs)[0]

    def forward_with_levels(self, inputs: Sequence[Tensor]) -> tuple[tuple[Tensor], list[Tensor]]:
        """The logit, and each level's map ``(N, channels, H_i, W_i)``, for side outputs."""
        if len(inputs) != self.num_levels:
            raise UserError(
                f'SingleStreamHeadModule: got {len(inputs)} levels, expected {self.num_levels}; '
                'set in_channels to those of the neck, and use a backbone and neck with one stream'
            )
        levels = [lateral(x) for lateral, x in zip(self.laterals, inputs)]
        mask = self.mask_logit(self.final(join_levels(levels, self.align_corners)))
        if self.depth_to_space > 1:
            mask = F.pixel_shuffle(mask, self.depth_to_space)
        return (mask,), levels

    def logit_convolutions(self) -> list[nn.Module]:
        """The last convolution of the output, whose bias says how rare targets are."""
        return [self.mask_logit[-1]]
