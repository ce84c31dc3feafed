# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Segmentation of small targets through their interiors and boundaries."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError

from ..layers import ConfigType
from .interior_boundary_fusion_head_module import TwoStreams

#: What the head learns: names of the three outputs, in their order.
MAPS = ('interior', 'boundary', 'mask')


@MODELS.register_module()
class InteriorBoundaryFusionHead(BaseModule):
    """Head of mmseg's ``EncoderDecoder`` that learns interior, boundary and mask.

    Needs ``gt_sem_seg``, ``gt_interior_map`` and ``gt_boundary_map`` in the data samples:
    ``LabelDecoupling`` and ``PackIRSTDInputs`` put them there.

    Args:
        head_module: Config of the network, ``InteriorBoundaryFusionHeadModule``, or
            ``SingleStreamHeadModule`` for a mask alone.
        loss_decode: Losses that are summed for each of the three maps.
        map_weights: Weights of interior, boundary and mask in the sum.
        side_levels: Levels, 0 the finest, whose maps learn the mask as well, each by a 1x1
            convolution of its own, at its own resolution, where a target is as large as its
            largest pixel. They are there in training only. Empty for none, as published.
        side_weight: Weight of the mean of these losses.
        threshold: Probability above which a pixel is a target.
        prior_prob: Probability that each logit's bias starts from. Targets are rare: 0.01 or less
            spares the first epochs. None leaves the layers' own initialization.
        num_classes: Background and target.
        out_channels: The mask has one channel.
        ignore_index: Label of pixels that do not count.
        align_corners: Of a resize of the logits to the image's size, where they differ.
        init_cfg: Initialization, as in mmengine.

    Raises:
        UserError: If ``num_classes`` is not 2 or ``out_channels`` not 1, the weights are not
            three, a level is not there, or a probability is outside (0, 1).

    Source: Hu et al., iSmallNet, ICASSP 2023, sections 2 and 3.
    """

    def __init__(
        self,
        head_module: ConfigType,
        loss_decode: ConfigType | Sequence[ConfigType] = (
            dict(type='MapBCELoss'),
            dict(type='SoftIoULoss'),
        ),
        map_weights: Sequence[float] = (1.0, 1.0, 1.0),
        side_levels: Sequence[int] = (),
        side_weight: float = 0.5,
        threshold: float = 0.5,
        prior_prob: float | None = None,
        num_classes: int = 2,
        out_channels: int = 1,
        ignore_index: int = 255,
        align_corners: bool = False,
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_classes != 2 or out_channels != 1:
            raise UserError(
                f'InteriorBoundaryFusionHead: num_classes={num_classes} and out_channels='
                f'{out_channels}, expected 2 (background, target) and 1'
            )
        if len(map_weights) != len(MAPS):
            raise UserError(
                f'InteriorBoundaryFusionHead: map_weights has {len(map_weights)} numbers, expected '
                f'one for each of {", ".join(MAPS)}'
            )
        for name, value in (('threshold', threshold), ('prior_prob', prior_prob)):
            if value is not None and not 0 < value < 1:
                raise UserError(
                    f'InteriorBoundaryFusionHead: {name} is {value}, expected a number in (0, 1)'
                )
        self.head_module = MODELS.build(head_module)
        losses = [loss_decode] if isinstance(loss_decode, dict) else loss_decode
        self.loss_decode = nn.ModuleList(MODELS.build(loss) for loss in losses)
        self.map_weights = dict(zip(MAPS, map_weights))
        self.side_levels = tuple(side_levels)
        self.side_weight = side_weight
        self._add_side_outputs()
        self.threshold = threshold
        self.prior_prob = prior_prob
        self.num_classes = num_classes
        self.out_channels = out_channels
        self.ignore_index = ignore_index
        self.align_corners = align_corners

    @property
    def map_names(self) -> tuple[str, ...]:
        """What exported files call the outputs of ``forward``."""
        return tuple(f'{name}_logits' for name in self.head_module.maps)

    def _add_side_outputs(self) -> None:
        module = self.head_module
        levels = module.num_levels if getattr(module, 'fusion', True) else 0
        if not set(self.side_levels) <= set(range(levels)):
            raise UserError(
                f'InteriorBoundaryFusionHead: side_levels is {self.side_levels}, expected some of '
                f'{list(range(levels))}, the levels whose maps the head module joins'
            )
        self.side_logits = nn.ModuleList(
            nn.Conv2d(module.channels, module.depth_to_space**2, 1) for _ in self.side_levels
        )

    def init_weights(self) -> None:
        """Initialize, and set the logits' biases to the prior probability."""
        super().init_weights()
        if self.prior_prob is None:
            return
        bias = math.log(self.prior_prob / (1 - self.prior_prob))
        for conv in (*self.head_module.logit_convolutions(), *self.side_logits):
            nn.init.constant_(conv.bias, bias)

    def forward(self, inputs: TwoStreams) -> tuple[Tensor, Tensor, Tensor]:
        """Logits ``(N, 1, H, W)`` of interior, boundary and mask; see the head's module."""
        return self.head_module(inputs)

    def loss(self, inputs: TwoStreams, batch_data_samples: list, train_cfg: ConfigType) -> dict:
        """Losses of a batch.

        Args:
            inputs: Maps of the two streams.
            batch_data_samples: Data samples with the truth at the size of the images.
            train_cfg: Not needed; in mmseg's signature.

        Returns:
            ``loss_interior``, ``loss_boundary`` and ``loss_mask``, scalars, each the weighted sum
            of the losses in ``loss_decode``; with side outputs ``loss_side``. A map that the head
            module does not have, or whose weight is 0, has no loss.

        Raises:
            UserError: If a data sample has no decoupled maps.
        """
        if not self.side_levels:
            return self.loss_by_feat(self(inputs), batch_data_samples)
        logits, levels = self.head_module.forward_with_levels(inputs)
        losses = self.loss_by_feat(logits, batch_data_samples)
        losses['loss_side'] = self._side_loss(levels, batch_data_samples)
        return losses

    def _side_loss(self, levels: Sequence[Tensor], samples: list) -> Tensor:
        """Weighted mean of the losses of the levels' own masks."""
        mask = torch.stack([sample.gt_sem_seg.data for sample in samples])
        valid = mask != self.ignore_index
        target, step = (mask * valid).float(), self.head_module.depth_to_space
        losses = []
        for level, conv in zip(self.side_levels, self.side_logits):
            logit = F.pixel_shuffle(conv(levels[level]), step)
            size = logit.shape[2:]
            # A pixel counts where any of those that it stands for does.
            small = F.adaptive_max_pool2d(target, size)
            counts = F.adaptive_max_pool2d(valid.float(), size) > 0
            losses += [loss(logit, small, counts) for loss in self.loss_decode]
        return self.side_weight * sum(losses) / len(self.side_levels)

    def switch_to_deploy(self) -> None:
        """Drop what is needed in training only."""
        self.side_levels, self.side_logits = (), nn.ModuleList()

    def loss_by_feat(self, logits: Sequence[Tensor], batch_data_samples: list) -> dict:
        """Losses from the three logits; see `loss`."""
        targets, valid = self._stack_targets(batch_data_samples)
        losses: dict[str, Tensor] = {}
        # DistributedDataParallel stops where a parameter has no gradient: these have one of 0.
        unused = sum(
            0 * logit.sum()
            for name, logit in zip(self.head_module.maps, logits, strict=True)
            if not self.map_weights[name]
        )
        for name, logit in zip(self.head_module.maps, logits, strict=True):
            target, weight = targets[name], self.map_weights[name]
            if not weight:
                continue
            logit = self._resize(logit, target.shape[2:])
            terms = [loss(logit, target, valid) for loss in self.loss_decode]
            losses[f'loss_{name}'] = weight * sum(terms) + unused
        return losses

    def predict(
        self, inputs: TwoStreams, batch_img_metas: list[dict], test_cfg: ConfigType
    ) -> Tensor:
        """Logits of the mask at the size of the (padded) images.

        Args:
            inputs: Maps of the two streams.
            batch_img_metas: Of each image; ``pad_shape`` is its size as the network took it. Where
                ``img_shape`` is a ``torch.Size`` that is the size: slide inference of mmseg says
                so how large its crop is.
            test_cfg: Not needed; in mmseg's signature.

        Returns:
            ``(N, 1, H, W)``.
        """
        return self.predict_by_feat(self(inputs), batch_img_metas)

    def predict_by_feat(self, logits: Sequence[Tensor], batch_img_metas: list[dict]) -> Tensor:
        """Logits of the mask from all three; see `predict`."""
        meta = batch_img_metas[0]
        shape = meta['img_shape']
        if not isinstance(shape, torch.Size):
            shape = meta.get('pad_shape', shape)
        return self._resize(logits[-1], shape[:2])

    def _resize(self, logit: Tensor, shape: Sequence[int]) -> Tensor:
        if tuple(logit.shape[2:]) == tuple(shape):
            return logit
        return F.interpolate(logit, tuple(shape), mode='bilinear', align_corners=self.align_corners)

    def _stack_targets(self, samples: list) -> tuple[dict[str, Tensor], Tensor | None]:
        """The three targets ``(N, 1, H, W)``, and which pixels count: None where all do."""
        missing = [k for k in ('gt_interior_map', 'gt_boundary_map') if k not in samples[0]]
        if missing:
            raise UserError(
                f'{samples[0].metainfo.get("img_path", "data sample")}: no {missing[0]}, expected '
                'the decoupled label; put LabelDecoupling and PackIRSTDInputs at the end of the '
                'training pipeline'
            )
        mask = torch.stack([sample.gt_sem_seg.data for sample in samples])
        valid = mask != self.ignore_index
        maps = [
            torch.stack([sample.get(f'gt_{name}_map').data for sample in samples]).float()
            for name in MAPS[:2]
        ]
        targets = dict(zip(MAPS, [*maps, (mask * valid).float()]))
        return targets, None if bool(valid.all()) else valid
