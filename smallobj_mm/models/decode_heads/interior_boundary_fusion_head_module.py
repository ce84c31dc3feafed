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
        fusion: Whether the streams are also joined level by level, as published. Without, the mask
            comes from the two streams' final maps alone.
        align_corners: Of the enlargements.
        norm_cfg: Normalization.
        init_cfg: Initialization, as in mmengine.

    Raises:
        UserError: If there are no levels.

    Source: Hu et al., iSmallNet, ICASSP 2023, section 2.
    """

    #: What the outputs are.
    maps = ('interior', 'boundary', 'mask')

    def __init__(
        self,
        in_channels: Sequence[int] = (16, 32, 64, 128, 256),
        channels: int = 16,
        depth_to_space: int = 1,
        fusion: bool = True,
        align_corners: bool = False,
        norm_cfg: ConfigType = {'type': 'BN'},
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not in_channels:
            raise UserError('InteriorBoundaryFusionHeadModule: in_channels is empty')
        self.align_corners = align_corners
        self.fusion = fusion
        self.depth_to_space = depth_to_space
        pixels = depth_to_space**2
        joined = len(in_channels) * channels

        self.num_levels = len(in_channels)
        self.channels = channels
        self.interior_laterals = build_laterals(in_channels, channels)
        self.boundary_laterals = build_laterals(in_channels, channels)
        self.interior_final = ResCBAMBlock(joined, channels, norm_cfg=norm_cfg)
        self.boundary_final = ResCBAMBlock(joined, channels, norm_cfg=norm_cfg)
        if fusion:
            self.fusion_laterals = nn.ModuleList(
                nn.Conv2d(2 * channels, channels, 1) for _ in in_channels
            )
            self.fusion_final = ResCBAMBlock(joined, channels, norm_cfg=norm_cfg)
        self.interior_logit = nn.Conv2d(channels, pixels, 3, padding=1)
        self.boundary_logit = nn.Conv2d(channels, pixels, 3, padding=1)
        self.mask_logit = nn.Sequential(
            nn.Conv2d((3 if fusion else 2) * channels, channels, 3, padding=1),
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
        return self.forward_with_levels(inputs)[0]

    def forward_with_levels(
        self, inputs: TwoStreams
    ) -> tuple[tuple[Tensor, Tensor, Tensor], list[Tensor]]:
        """The logits, and each level's fused map ``(N, channels, H_i, W_i)``, for side outputs.

        Without fusion there are no such maps.
        """
        expected = [self.num_levels] * 2
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
        finals = [
            self.interior_final(join_levels(interiors, self.align_corners)),
            self.boundary_final(join_levels(boundaries, self.align_corners)),
        ]
        fused = []
        if self.fusion:
            fused = [
                lateral(torch.cat(pair, dim=1))
                for lateral, *pair in zip(self.fusion_laterals, interiors, boundaries)
            ]
            finals.append(self.fusion_final(join_levels(fused, self.align_corners)))
        mask = self.mask_logit(torch.cat(finals, dim=1))
        interior, boundary = self.interior_logit(finals[0]), self.boundary_logit(finals[1])
        step = self.depth_to_space
        if step > 1:
            interior, boundary = F.pixel_shuffle(interior, step), F.pixel_shuffle(boundary, step)
            mask = F.pixel_shuffle(mask, step)
        return (interior, boundary, mask), fused

    def logit_convolutions(self) -> list[nn.Module]:
        """The last convolution of each output, whose bias says how rare targets are."""
        return [self.interior_logit, self.boundary_logit, self.mask_logit[-1]]


def build_laterals(in_channels: Sequence[int], channels: int) -> nn.ModuleList:
    """1x1 convolutions to the same number of channels; none for a finest level that has it."""
    finest, *coarser = in_channels
    first = nn.Identity() if finest == channels else nn.Conv2d(finest, channels, 1)
    return nn.ModuleList([first, *(nn.Conv2d(c, channels, 1) for c in coarser)])


def join_levels(levels: list[Tensor], align_corners: bool) -> Tensor:
    """All levels at the finest one's size, concatenated, the coarsest first."""
    size = levels[0].shape[2:]
    return torch.cat(
        [
            *(
                F.interpolate(x, size, mode='bilinear', align_corners=align_corners)
                for x in levels[:0:-1]
            ),
            levels[0],
        ],
        dim=1,
    )
