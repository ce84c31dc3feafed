# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Losses between a map of logits and a map of targets in [0, 1]."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError


@MODELS.register_module()
class MapBCELoss(nn.Module):
    """Binary cross-entropy with targets that need not be 0 or 1, mean over the pixels that count.

    Args:
        pos_weight: Factor of the targets' part; above 1 it makes missing a target dearer.
        loss_weight: Factor of the loss.
    """

    def __init__(self, pos_weight: float = 1.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.pos_weight = pos_weight
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """The loss.

        Args:
            logits: ``(N, 1, H, W)``.
            target: ``(N, 1, H, W)`` in [0, 1].
            valid: ``(N, 1, H, W)``, true where the pixel counts; None where all do.

        Returns:
            A scalar.
        """
        logits = logits.float()
        loss = F.binary_cross_entropy_with_logits(
            logits, target, pos_weight=logits.new_tensor(self.pos_weight), reduction='none'
        )
        if valid is None:
            return self.loss_weight * loss.mean()
        return self.loss_weight * (loss * valid).sum() / valid.sum().clamp(min=1)


@MODELS.register_module()
class SoftIoULoss(nn.Module):
    """One minus the soft intersection over union of each image, mean over the images.

    With p the probabilities, t the targets, I their overlap and U = sum p + sum t - I of an image:
    1 - (I + smooth) / (U + smooth). Where all targets are 0 or 1 the two overlaps give losses with
    the same minimum; where they are not, as in the maps of interiors and boundaries, only that of
    'minimum' lies at p = t: with the product a map of weak targets is best left empty, and one of
    strong targets best filled.

    Args:
        smooth: Keeps an image without targets defined.
        overlap: 'product' for I = sum p t, as published; 'minimum' for I = sum min(p, t).
        loss_weight: Factor of the loss.

    Raises:
        UserError: There is no such overlap.

    Source: Hu et al., iSmallNet, ICASSP 2023, section 3; for 'minimum' Wang et al., Jaccard Metric
    Losses: Optimizing the Jaccard Index with Soft Labels, NeurIPS 2023.
    """

    def __init__(
        self, smooth: float = 1.0, overlap: str = 'product', loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        if overlap not in ('product', 'minimum'):
            raise UserError(f"overlap {overlap!r}: expected 'product' or 'minimum'")
        self.smooth = smooth
        self.overlap = overlap
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """The loss; shapes as those of `MapBCELoss`."""
        probability = logits.float().sigmoid()
        if valid is not None:
            probability, target = probability * valid, target * valid
        dims = (1, 2, 3)
        if self.overlap == 'product':
            intersection = (probability * target).sum(dims)
        else:
            intersection = torch.minimum(probability, target).sum(dims)
        union = probability.sum(dims) + target.sum(dims) - intersection
        iou = (intersection + self.smooth) / (union + self.smooth)
        return self.loss_weight * (1 - iou).mean()
