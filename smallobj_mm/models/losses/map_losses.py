# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Losses between a map of logits and a map of targets in [0, 1]."""

import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from torch import Tensor, nn

from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError


@MODELS.register_module()
class MapBCELoss(nn.Module):
    """Binary cross-entropy with targets that need not be 0 or 1, mean over the pixels that count.

    Two options put the weight where a small target is decided: on its border, and on the pixels
    that are not learnt yet. A target of 5x5 px has more pixels within 1 px of its border than
    elsewhere, and nearly all pixels of an image are background that any network knows.

    Args:
        pos_weight: Factor of the targets' part; above 1 it makes missing a target dearer.
        edge_weight: Weight of pixels at the border of a target, those whose 3x3 px hold both
            target and background; the others have 1. The loss is divided by the number of pixels,
            not by the sum of weights.
        hard_fraction: Share of the pixels of a batch that count: those with the greatest loss,
            and all that equal the last of them. 1 for all pixels.
        loss_weight: Factor of the loss.

    Raises:
        UserError: If a weight is negative or the share is outside (0, 1].
    """

    def __init__(
        self,
        pos_weight: float = 1.0,
        edge_weight: float = 1.0,
        hard_fraction: float = 1.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if min(pos_weight, edge_weight) < 0 or not 0 < hard_fraction <= 1:
            raise UserError(
                f'MapBCELoss: pos_weight is {pos_weight}, edge_weight {edge_weight} and '
                f'hard_fraction {hard_fraction}, expected weights of 0 or more and a share '
                'in (0, 1]'
            )
        self.pos_weight = pos_weight
        self.edge_weight = edge_weight
        self.hard_fraction = hard_fraction
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
        if self.edge_weight != 1:
            loss = loss * (1 + (self.edge_weight - 1) * target_edges(target))
        if self.hard_fraction < 1:
            hard = self._hard(loss.detach(), valid)
            valid = hard if valid is None else valid & hard
        if valid is None:
            return self.loss_weight * loss.mean()
        return self.loss_weight * (loss * valid).sum() / valid.sum().clamp(min=1)

    def _hard(self, loss: Tensor, valid: Tensor | None) -> Tensor:
        """Where the loss is among the greatest."""
        counted = loss.flatten() if valid is None else loss[valid]
        if not len(counted):
            return torch.ones_like(loss, dtype=torch.bool)
        rank = len(counted) - max(round(self.hard_fraction * len(counted)), 1) + 1
        return loss >= counted.kthvalue(rank).values


def target_edges(target: Tensor) -> Tensor:
    """Pixels whose 3x3 px hold both target and background, as 0 and 1.

    Args:
        target: ``(N, 1, H, W)``; above 0 is target. Beyond the image is neither.

    Returns:
        ``(N, 1, H, W)`` of the same type.
    """
    inside = (target > 0).to(target)
    grown = F.max_pool2d(inside, 3, stride=1, padding=1)
    shrunk = 1 - F.max_pool2d(1 - inside, 3, stride=1, padding=1)
    return grown - shrunk


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
        return self.loss_weight * (1 - self.overlap_of_images(logits, target, valid)[0]).mean()

    def overlap_of_images(
        self, logits: Tensor, target: Tensor, valid: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Soft IoU, sum of probabilities and sum of targets in px, each ``(N,)``."""
        probability = logits.float().sigmoid()
        if valid is not None:
            probability, target = probability * valid, target * valid
        dims = (1, 2, 3)
        if self.overlap == 'product':
            intersection = (probability * target).sum(dims)
        else:
            intersection = torch.minimum(probability, target).sum(dims)
        predicted, wanted = probability.sum(dims), target.sum(dims)
        iou = (intersection + self.smooth) / (predicted + wanted - intersection + self.smooth)
        return iou, predicted, wanted


@MODELS.register_module()
class ScaleAwareIoULoss(SoftIoULoss):
    """Soft IoU loss that also weighs how well the area of the targets is met: 1 - w IoU.

    With P the sum of an image's probabilities and T that of its targets in px,

        w = (min(P, T) + s) / (max(P, T) + s),  s = ``smooth`` > 0.

    w is 1 where the areas are equal and falls with their distance on both sides: for P < T it is
    (P + s) / (T + s), which rises with P, for P > T it is (T + s) / (P + s), which falls with P.
    It goes by the ratio: 4 px too many cost a target of 8 px more than one of 80 px.

    The published weight is (min + v) / (max + v) with v = ((P - T) / 2)^2. There v outgrows
    both areas as they part, so that w turns and goes back to 1: for T = 20 px it is 0.78 at
    P = 10 and 0.91 at P = 60. The worst predictions are weighed least; here they are not.

    Args:
        warmup_iters: Iterations of the run before which w is 1: at its start areas say nothing.
        smooth: In IoU and weight, px.
        overlap: See `SoftIoULoss`.
        loss_weight: Factor of the loss.

    Raises:
        UserError: There is no such overlap, or ``smooth`` is not above 0.

    Source: Liu et al., Infrared Small Target Detection with Scale and Location Sensitivity,
    CVPR 2024, section 3.2, with another weight.
    """

    def __init__(
        self,
        warmup_iters: int = 0,
        smooth: float = 1.0,
        overlap: str = 'product',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(smooth, overlap, loss_weight)
        if smooth <= 0:
            raise UserError(f'ScaleAwareIoULoss: smooth is {smooth}, expected a number above 0')
        self.warmup_iters = warmup_iters

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """The loss; shapes as those of `MapBCELoss`."""
        iou, predicted, wanted = self.overlap_of_images(logits, target, valid)
        if self._warm():
            less, more = torch.minimum(predicted, wanted), torch.maximum(predicted, wanted)
            iou = iou * (less + self.smooth) / (more + self.smooth)
        return self.loss_weight * (1 - iou).mean()

    def _warm(self) -> bool:
        """Whether the run is past its first iterations; true outside of a run."""
        if not self.warmup_iters:
            return True
        hub = MessageHub.get_current_instance()
        return hub.get_info('iter', self.warmup_iters) >= self.warmup_iters
