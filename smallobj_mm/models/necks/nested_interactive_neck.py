# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Nested decoder whose nodes see the finer, the same and the coarser level."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError

from ..layers import ConfigType, res_cbam_blocks
from ..utils.activation_checkpointing import run_checkpointed


class NestedStream(nn.Module):
    """The nested decoder of one stream.

    Node (i, j) is at level i and column j, i + j < number of levels; column 0 is the input.

    Args:
        in_channels: Channels of each level, the finest first.
        num_blocks: Blocks of a node of each level.
        align_corners: Of the resampling between levels.
        norm_cfg: Normalization.
        with_cp: Compute each node's activations again in the backward pass.
        attention: Whether the blocks have attention.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_blocks: Sequence[int],
        align_corners: bool,
        norm_cfg: ConfigType,
        with_cp: bool,
        attention: bool,
    ) -> None:
        super().__init__()
        self.num_levels = len(in_channels)
        self.align_corners = align_corners
        self.with_cp = with_cp
        self.nodes = nn.ModuleDict()
        for column in range(1, self.num_levels):
            for level in range(self.num_levels - column):
                channels = column * in_channels[level] + in_channels[level + 1]
                if level:
                    channels += 2 * in_channels[level - 1]
                self.nodes[f'{level}_{column}'] = res_cbam_blocks(
                    channels, in_channels[level], num_blocks[level], norm_cfg, attention
                )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The last node of each level, the finest first, from features of each level."""
        levels = [[x] for x in inputs]
        downs = [[self._resize(x, like)] for x, like in zip(inputs, inputs[1:])]
        for column in range(1, self.num_levels):
            for level in range(self.num_levels - column):
                parts = [*levels[level], levels[level + 1][column - 1]]
                if level:
                    parts += downs[level - 1][column - 1 : column + 1]
                node = self._node(self.nodes[f'{level}_{column}'], column, parts)
                levels[level].append(node)
                if level + 1 < self.num_levels - column:
                    # Two nodes of the next level take this map: it is made smaller once.
                    downs[level].append(self._resize(node, inputs[level + 1]))
        return tuple(nodes[-1] for nodes in levels)

    def _node(self, blocks: nn.Module, column: int, parts: list[Tensor]) -> Tensor:
        """A node of its level's earlier nodes, the coarser level's and the finer level's maps."""

        def run(*parts: Tensor) -> Tensor:
            up = self._resize(parts[column], parts[0])
            return blocks(torch.cat([*parts[:column], up, *parts[column + 1 :]], dim=1))

        if self.with_cp and self.training:
            return run_checkpointed(blocks, run, *parts)
        return run(*parts)

    def _resize(self, x: Tensor, like: Tensor) -> Tensor:
        return F.interpolate(x, like.shape[2:], mode='bilinear', align_corners=self.align_corners)


@MODELS.register_module()
class NestedInteractiveNeck(BaseModule):
    """Nested decoder of each stream, with maps handed from finer levels to coarser ones as well.

    Node x(i, j), level i and column j, is made by residual attention blocks of the concatenation
    of x(i, 0..j-1), x(i+1, j-1) enlarged, and, below the finest level, x(i-1, j-1) and x(i-1, j)
    made smaller. The last node of each level goes out.

    Args:
        in_channels: Channels of each level, the finest first; a node has those of its level.
        num_blocks: Blocks of a node of each level.
        num_streams: Number of streams. With one, input and output are those of any mmseg neck.
        align_corners: Of the resampling between levels.
        norm_cfg: Normalization.
        with_cp: Save memory in training: each node's activations are computed again in the
            backward pass.
        attention: Whether the blocks have channel and spatial attention, as published. They take a
            quarter of a small network's time on a CPU.
        init_cfg: Initialization, as in mmengine.

    Raises:
        UserError: If ``in_channels`` and ``num_blocks`` differ in length, there are fewer than two
            levels, or there is no stream.

    Source: Hu et al., iSmallNet, ICASSP 2023, section 2.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (16, 32, 64, 128, 256),
        num_blocks: Sequence[int] = (1, 2, 2, 2, 2),
        num_streams: int = 2,
        align_corners: bool = True,
        norm_cfg: ConfigType = {'type': 'BN'},
        with_cp: bool = False,
        attention: bool = True,
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(in_channels) != len(num_blocks) or len(in_channels) < 2:
            raise UserError(
                f'NestedInteractiveNeck: in_channels has {len(in_channels)} levels and num_blocks '
                f'{len(num_blocks)}, expected the same number, at least two'
            )
        if num_streams < 1:
            raise UserError(
                f'NestedInteractiveNeck: num_streams is {num_streams}, expected 1 or more'
            )
        self.in_channels = tuple(in_channels)
        self.streams = nn.ModuleList(
            NestedStream(in_channels, num_blocks, align_corners, norm_cfg, with_cp, attention)
            for _ in range(num_streams)
        )

    def forward(
        self, inputs: Sequence[Tensor] | Sequence[Sequence[Tensor]]
    ) -> tuple[Tensor, ...] | tuple[tuple[Tensor, ...], ...]:
        """Decode.

        Args:
            inputs: For each stream the features of each level ``(N, in_channels[i], H_i, W_i)``,
                the finest first; with a single stream that sequence itself.

        Returns:
            In the same form, one map for each level: the shapes are those of the input.

        Raises:
            UserError: If the number of streams or levels is not that of the neck.
        """
        streams = [inputs] if len(self.streams) == 1 else list(inputs)
        if len(streams) != len(self.streams):
            raise UserError(
                f'NestedInteractiveNeck: got {len(streams)} streams, expected {len(self.streams)}; '
                'set num_streams to the number of streams of the backbone'
            )
        levels = {len(stream) for stream in streams}
        if levels != {len(self.in_channels)}:
            raise UserError(
                f'NestedInteractiveNeck: got {sorted(levels)} levels, expected '
                f'{len(self.in_channels)}; set in_channels to those of the backbone'
            )
        outs = tuple(stream(x) for stream, x in zip(self.streams, streams))
        return outs if len(outs) > 1 else outs[0]
