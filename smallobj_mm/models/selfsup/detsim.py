# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""DetSim: a SimSiam that looks at all stages of a backbone."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmpretrain.models.selfsup import BaseSelfSupervisor
from mmpretrain.structures import DataSample
from torch import Tensor

from smallobj_mm.models.layers.types import ConfigType
from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError

from .agreement import check_local, check_stages


@MODELS.register_module()
class DetSim(BaseSelfSupervisor):
    """Self-supervised pretraining for detection backbones.

    Loss: the sum over the stages of their weight times (similarity of both views, both ways, and
    the augmentation-aware losses). With local views, a grid of small crops that sees no more than
    its patches predicts the projection of the other whole view, too; the features of its patches
    are averaged.

    Source: Liu et al., TL-OBSDM, The Visual Computer 2025. The local views are ours: the authors
    load them and never use them.

    Args:
        backbone: Gives a map for each stage (``out_indices=(0, 1, 2, 3)``).
        neck: Projectors, a ``MultiStageProjector``.
        head: Predictors, a ``MultiStageSimilarityHead``.
        auxiliary_head: Augmentation-aware heads, an ``AugmentationAwareHead``; None for none.
        stage_weights: Weight of each stage in the loss, 0 or more.
        local_grid: Crops a side of a local view: the inputs after the first two are images of
            ``local_grid ** 2`` crops side by side, as ``LocalCrops`` makes them; its ``grid`` is
            the same number.
        local_weight: Weight of the local views' similarity against that of the whole views.
        data_preprocessor: Normalization; mmpretrain's ``SelfSupDataPreprocessor`` by default.
        init_cfg: Initialization.

    Raises:
        UserError: If the parts do not have the same stages, or an option is out of its range.
    """

    def __init__(
        self,
        backbone: ConfigType,
        neck: ConfigType,
        head: ConfigType,
        auxiliary_head: ConfigType | None = None,
        stage_weights: Sequence[float] = (0.1, 0.2, 0.3, 0.4),
        local_grid: int = 3,
        local_weight: float = 1.0,
        data_preprocessor: ConfigType | None = None,
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        check_local(local_grid, local_weight)
        # By its full name, so that a DetSim is built in other scopes, too.
        preprocessor = dict(data_preprocessor or {})
        preprocessor.setdefault('type', 'mmpretrain.SelfSupDataPreprocessor')
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            data_preprocessor=preprocessor,
            init_cfg=init_cfg,
        )
        self.auxiliary_head: BaseModule | None = (
            None if auxiliary_head is None else MODELS.build(auxiliary_head)
        )
        check_stages(self.backbone, self.neck, self.head, self.auxiliary_head, stage_weights)
        self.stage_weights = tuple(stage_weights)
        self.local_grid = local_grid
        self.local_weight = local_weight

    def pooled_features(self, images: Tensor) -> list[Tensor]:
        """Global averages of the maps of each stage.

        Args:
            images: ``(N, 3, H, W)``, normalized.

        Returns:
            ``(N, C_i)`` for each stage.
        """
        return [feature_map.mean(dim=(2, 3)) for feature_map in self.extract_feat(images)]

    def loss(self, inputs: list[Tensor], data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: The two views ``(N, 3, H, W)``, then the local views if there are.
            data_samples: Each with a field ``NAME_difference`` for each auxiliary target.

        Returns:
            ``loss_NAME_stageI``, weighted, with NAME similarity, local or an auxiliary target,
            and I from 1.

        Raises:
            UserError: If there are not two views, the backbone's maps are not what the neck
                takes, the differences are not there, or local views do not have ``local_grid``.
        """
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise UserError(
                f'DetSim: the inputs are a {type(inputs).__name__}, expected a list of two views '
                'or more; make them with AugmentedViews and PackViews'
            )
        pooled = [self.pooled_features(view) for view in inputs[:2]]
        channels, expected = tuple(y.shape[1] for y in pooled[0]), tuple(self.neck.in_channels)
        if channels != expected:
            raise UserError(
                f'DetSim: the backbone gives maps of {channels} channels, expected {expected}, '
                'neck.in_channels; correct the latter or backbone.out_indices'
            )
        projected = [self.neck(features) for features in pooled]
        losses = {}
        there, back = (self.head.loss(projected[i], projected[1 - i]) for i in range(2))
        for i, weight in enumerate(self.stage_weights):
            losses[f'loss_similarity_stage{i + 1}'] = weight * (there[i] + back[i])
        if len(inputs) > 2:
            local_grid = data_samples[0].get('local_grid') if data_samples else None
            if local_grid not in (None, self.local_grid):
                raise UserError(
                    f'DetSim: local_grid is {self.local_grid}, but LocalCrops made a grid of '
                    f'{local_grid}; give both the same number'
                )
            losses.update(self._local_losses(inputs[2:], projected))
        if self.auxiliary_head is not None:
            losses.update(self._auxiliary_losses(self.auxiliary_head, pooled, data_samples))
        return losses

    def _local_losses(
        self, local_views: Sequence[Tensor], projected: list[tuple[Tensor, ...]]
    ) -> dict[str, Tensor]:
        """Similarity of local views to the whole ones, on the scale of the two whole views."""
        total: list[Tensor] = []
        for k, images in enumerate(local_views):
            crops = split_grid(images, self.local_grid)
            features = [
                y.reshape(len(images), -1, y.shape[1]).mean(dim=1)
                for y in self.pooled_features(crops)
            ]
            # A local view and the whole view of the same number are drawn apart as well; taking
            # the other one spreads the targets evenly.
            terms = self.head.loss(self.neck(features), projected[(k + 1) % 2])
            total = [a + b for a, b in zip(total, terms)] if total else terms
        scale = self.local_weight * 2 / len(local_views)
        return {
            f'loss_local_stage{i + 1}': weight * scale * term
            for i, (weight, term) in enumerate(zip(self.stage_weights, total))
        }

    def _auxiliary_losses(
        self, head: BaseModule, pooled: list[list[Tensor]], data_samples: list[DataSample]
    ) -> dict[str, Tensor]:
        targets = {}
        for name in head.weights:
            field = f'{name}_difference'
            if not data_samples or field not in data_samples[0]:
                raise UserError(
                    f'DetSim: the data samples have no {field}, which an auxiliary head is to '
                    f"predict; add {name!r} to the targets of PackViews or set the head's weight "
                    'to -1'
                )
            targets[name] = torch.stack([sample.get(field) for sample in data_samples])
        raw = head.loss(*pooled, targets)
        return {
            f'loss_{name}_stage{i + 1}': weight * head.weights[name] * value
            for i, (weight, stage) in enumerate(zip(self.stage_weights, raw))
            for name, value in stage.items()
        }


def split_grid(images: Tensor, grid: int) -> Tensor:
    """Take images of crops side by side apart.

    Args:
        images: ``(N, C, grid * h, grid * w)``.
        grid: Crops a side.

    Returns:
        ``(N * grid ** 2, C, h, w)``, the crops of an image one after the other, row by row.

    Raises:
        UserError: If the sides are no multiples of ``grid``.
    """
    n, c, height, width = images.shape
    if height % grid or width % grid:
        raise UserError(
            f'DetSim: local_grid is {grid}, but a local view is {width}x{height} px, expected '
            'sides divisible by it; give local_grid the grid of LocalCrops'
        )
    rows = images.reshape(n, c, grid, height // grid, grid, width // grid)
    return rows.permute(0, 2, 4, 1, 3, 5).reshape(n * grid**2, c, height // grid, width // grid)
