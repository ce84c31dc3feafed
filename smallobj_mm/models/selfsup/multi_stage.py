# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Projectors and predictors of SimSiam, one for each stage of a backbone."""

from collections.abc import Iterable, Sequence

from mmengine.model import BaseModule
from mmpretrain.models.heads import LatentPredictHead
from mmpretrain.models.necks import NonLinearNeck
from torch import Tensor, nn

from smallobj_mm.models.layers.types import ConfigType
from smallobj_mm.registry import MODELS

#: BN of vectors. mmengine's sync_bn setting turns it into synchronised BN.
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
        norm_cfg: Normalisation of vectors.
        init_cfg: Initialisation; PyTorch's when not given.

    Shape:
        Vectors ``(N, in_channels[i])`` -> tuple of ``(N, out_channels)``.

    Raises:
        ValueError: If num_layers and in_channels are not equally many, or a number is below 2.
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
        if len(num_layers) != len(in_channels) or min(num_layers) < 2:
            raise ValueError(
                f'MultiStageProjector: num_layers is {tuple(num_layers)} for the in_channels '
                f'{tuple(in_channels)}, expected a number of 2 or more for each of them'
            )
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
        return tuple(stage((y,))[0] for stage, y in zip(self.stages, pooled))


@MODELS.register_module()
class MultiStageSimilarityHead(BaseModule):
    """A predictor for each stage, and the negative cosine similarity to the other view.

    The predictor is linear, BN, ReLU, linear with bias. No gradient flows through the target.

    Args:
        num_stages: Stages.
        in_channels: Channels of the projections.
        hid_channels: Channels of the hidden layer.
        norm_cfg: Normalisation of vectors.
        init_cfg: Initialisation; PyTorch's when not given.
    """

    def __init__(
        self,
        num_stages: int = 4,
        in_channels: int = 2048,
        hid_channels: int = 512,
        norm_cfg: ConfigType = NORM,
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
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
            targets: Projections ``(N, C)`` of the other view, taken without gradient.

        Returns:
            For each stage the mean negative cosine similarity, in [-1, 1].
        """
        heads: Iterable[LatentPredictHead] = self.stages
        return [head.loss(p, t) for head, p, t in zip(heads, predicted, targets)]
