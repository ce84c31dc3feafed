# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Projectors and predictors of SimSiam, one for each stage of a backbone."""

from collections.abc import Iterable, Sequence

from mmengine.model import BaseModule
from mmpretrain.models.heads import LatentPredictHead
from mmpretrain.models.necks import NonLinearNeck
from torch import Tensor, nn

from smallobj_mm.models.layers.types import ConfigType
from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError

from .agreement import is_list_of_numbers

#: BN of vectors. mmengine's sync_bn setting turns it into synchronized BN.
NORM = dict(type='BN1d')


@MODELS.register_module()
class MultiStageProjector(BaseModule):
    """A projector for each stage: linear layers without bias, each with BN, ReLU between them.

    Source: Chen and He, "Exploring Simple Siamese Representation Learning", 2021, section 3; four
    stages and the numbers of layers as in TL-OBSDM.

    Args:
        in_channels: Channels of each stage.
        hid_channels: Channels of the hidden layers.
        out_channels: Channels of the projections.
        num_layers: Linear layers of each stage's projector, 2 or more.
        norm_cfg: Normalization of vectors.
        init_cfg: Initialization; PyTorch's when not given.

    Shape:
        Vectors ``(N, in_channels[i])`` -> tuple of ``(N, out_channels)``.

    Raises:
        UserError: If num_layers and in_channels are not equally many, or a number is below 2.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (64, 128, 256, 512),
        hid_channels: int = 2048,
        out_channels: int = 2048,
        num_layers: Sequence[int] = (3, 4, 3, 3),
        norm_cfg: ConfigType = NORM,
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        lists = is_list_of_numbers(in_channels, 1) and is_list_of_numbers(num_layers, 2)
        if not lists or len(num_layers) != len(in_channels):
            raise UserError(
                f'MultiStageProjector: num_layers is {num_layers} for the in_channels '
                f'{in_channels}, expected a number of 2 or more for each of them'
            )
        self.in_channels = tuple(in_channels)
        self.out_channels = out_channels
        self.stages = nn.ModuleList(
            NonLinearNeck(
                in_channels=channels,
                hid_channels=hid_channels,
                out_channels=out_channels,
                num_layers=layers,
                with_avg_pool=False,
                norm_cfg=norm_cfg,
            )
            for channels, layers in zip(in_channels, num_layers)
        )

    def forward(self, pooled: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Project the vectors of each stage."""
        return tuple(stage((y,))[0] for stage, y in zip(self.stages, pooled, strict=True))


@MODELS.register_module()
class MultiStageSimilarityHead(BaseModule):
    """A predictor for each stage, and the negative cosine similarity to the other view.

    The predictor is linear, BN, ReLU, linear with bias.

    Args:
        num_stages: Stages.
        in_channels: Channels of the projections.
        hid_channels: Channels of the hidden layer.
        stop_gradient: Take the targets without gradient. With it the features do not collapse;
            without it they are expected to (Chen and He, section 4.1), which is for comparisons.
        norm_cfg: Normalization of vectors.
        init_cfg: Initialization; PyTorch's when not given.

    Raises:
        UserError: If there is no stage, or stop_gradient is not True or False.
    """

    def __init__(
        self,
        num_stages: int = 4,
        in_channels: int = 2048,
        hid_channels: int = 512,
        stop_gradient: bool = True,
        norm_cfg: ConfigType = NORM,
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if num_stages < 1:
            raise UserError(
                f'MultiStageSimilarityHead: num_stages is {num_stages}, expected 1 or more'
            )
        if not isinstance(stop_gradient, bool):
            raise UserError(
                f'MultiStageSimilarityHead: stop_gradient is {stop_gradient!r}, expected True or '
                'False'
            )
        self.in_channels = in_channels
        self.stop_gradient = stop_gradient
        predictor = dict(
            type='mmpretrain.NonLinearNeck',
            in_channels=in_channels,
            hid_channels=hid_channels,
            out_channels=in_channels,
            num_layers=2,
            with_last_bn=False,
            with_last_bias=True,
            with_avg_pool=False,
            norm_cfg=norm_cfg,
        )
        loss = dict(type='mmpretrain.CosineSimilarityLoss')
        self.stages = nn.ModuleList(
            LatentPredictHead(loss=loss, predictor=predictor) for _ in range(num_stages)
        )

    def loss(self, predicted: Sequence[Tensor], targets: Sequence[Tensor]) -> list[Tensor]:
        """Loss of predicting the projections of one view from those of another.

        Args:
            predicted: Projections ``(N, C)`` that the predictors are given, one a stage.
            targets: Projections ``(N, C)`` of the other view, taken without gradient unless
                ``stop_gradient`` is off.

        Returns:
            For each stage the mean negative cosine similarity, in [-1, 1].
        """
        heads: Iterable[LatentPredictHead] = self.stages
        triples = zip(heads, predicted, targets, strict=True)
        if self.stop_gradient:
            return [head.loss(p, t) for head, p, t in triples]
        return [head.loss_module(head.predictor([p])[0], t) for head, p, t in triples]
