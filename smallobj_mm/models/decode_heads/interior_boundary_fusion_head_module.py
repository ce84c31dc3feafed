# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Network of the interior-boundary fusion head."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError

from ..layers import ConfigType, ResCBAMBlock

#: Maps of two streams, the finest level first.
TwoStreams = tuple[Sequence[Tensor], Sequence[Tensor]]


@MODELS.register_module()
class InteriorBoundaryFusionHeadModule(BaseModule):
    """Final maps of the interior and of the boundary stream, their fusion, and three logits.

    Every 1x1 convolution runs at its level's own resolution, and the enlargement comes after:
    the two commute, and it is cheaper in this order.

    Args:
        in_channels: Channels of each level of a stream, the finest first.
        channels: Channels of the maps that are joined.
        depth_to_space: Each position of the finest level gives the logits of a square of pixels of
            this side; the encoder's ``space_to_depth``.
        align_corners: Of the enlargements.
        norm_cfg: Normalization.
        init_cfg: Initialization, as in mmengine.

    Raises:
        UserError: If there are no levels.

    Source: Hu et al., iSmallNet, ICASSP 2023, section 2.
    """

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
            raise UserError('InteriorBoundaryFusionHeadModule: in_channels is empty')
        self.align_corners = align_corners
        self.depth_to_space = depth_to_space
        pixels = depth_to_space**2
        joined = len(in_channels) * channels

        def laterals() -> nn.ModuleList:
            finest, *coarser = in_channels
            first = nn.Identity() if finest == channels else nn.Conv2d(finest, channels, 1)
            return nn.ModuleList([first, *(nn.Conv2d(c, channels, 1) for c in coarser)])

        self.interior_laterals = laterals()
        self.boundary_laterals = laterals()
        self.fusion_laterals = nn.ModuleList(
            nn.Conv2d(2 * channels, channels, 1) for _ in in_channels
        )
        self.interior_final = ResCBAMBlock(joined, channels, norm_cfg=norm_cfg)
        self.boundary_final = ResCBAMBlock(joined, channels, norm_cfg=norm_cfg)
        self.fusion_final = ResCBAMBlock(joined, channels, norm_cfg=norm_cfg)
        self.interior_logit = nn.Conv2d(channels, pixels, 3, padding=1)
        self.boundary_logit = nn.Conv2d(channels, pixels, 3, padding=1)
        self.mask_logit = nn.Sequential(
            nn.Conv2d(3 * channels, channels, 3, padding=1),
            build_norm_layer(norm_cfg, channels)[1],
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, pixels, 3, padding=1),
        )

    def forward(self, inputs: TwoStreams) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of the interior, the boundary and the mask.

        Args:
            inputs: Maps of the interior stream and of the boundary stream, each
                ``(N, in_channels[i], H_i, W_i)``, the finest first.

        Returns:
            Three maps ``(N, 1, H_0 s, W_0 s)``, s being ``depth_to_space``.

        Raises:
            UserError: If there are not two streams of as many levels as ``in_channels``.
        """
        expected = [len(self.fusion_laterals)] * 2
        if [len(stream) for stream in inputs] != expected:
            raise UserError(
                f'InteriorBoundaryFusionHeadModule: got streams of '
                f'{[len(stream) for stream in inputs]} levels, expected {expected}; set in_channels'
                ' to those of the neck, and use a backbone and neck with two streams'
            )
        interiors, boundaries = (
            [lateral(x) for lateral, x in zip(laterals, stream)]
            for laterals, stream in zip((self.interior_laterals, self.boundary_laterals), inputs)
        )
        fused = [
            lateral(torch.cat(pair, dim=1))
            for lateral, *pair in zip(self.fusion_laterals, interiors, boundaries)
        ]
        interior = self.interior_final(self._join(interiors))
        boundary = self.boundary_final(self._join(boundaries))
        fusion = self.fusion_final(self._join(fused))
        mask = self.mask_logit(torch.cat([interior, boundary, fusion], dim=1))
        interior, boundary = self.interior_logit(interior), self.boundary_logit(boundary)
        step = self.depth_to_space
        if step > 1:
            interior, boundary = F.pixel_shuffle(interior, step), F.pixel_shuffle(boundary, step)
            mask = F.pixel_shuffle(mask, step)
        return interior, boundary, mask

    def _join(self, levels: list[Tensor]) -> Tensor:
        """All levels at the finest one's size, concatenated, the coarsest first."""
        size = levels[0].shape[2:]
        return torch.cat(
            [
                *(
                    F.interpolate(x, size, mode='bilinear', align_corners=self.align_corners)
                    for x in levels[:0:-1]
                ),
                levels[0],
            ],
            dim=1,
        )
