# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Normalized Wasserstein distance of boxes, as a measure and as a loss."""

from __future__ import annotations

import torch
from mmdet.models.losses.utils import weight_reduce_loss
from torch import Tensor, nn

from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError

#: Squared distances in square pixels below this count linearly, so that the gradient is finite.
_LINEAR_BELOW = 1e-8


def _root(squares: Tensor) -> Tensor:
    """Square root of numbers that are not negative, with a finite gradient at 0."""
    root = squares.clamp(min=_LINEAR_BELOW).sqrt()
    return torch.where(squares > _LINEAR_BELOW, root, squares / _LINEAR_BELOW**0.5)


def centers_and_sizes(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Centers cx, cy and sizes w, h ``(...)`` of boxes ``(..., 4)`` as x1, y1, x2, y2."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


def normalized_wasserstein(first: Tensor, second: Tensor, constant: float) -> Tensor:
    """Similarity of boxes taken as Gaussians.

    A box of center (cx, cy) and size (w, h) stands for the Gaussian with this mean and the
    standard deviations w / 2 and h / 2. The 2-Wasserstein distance of two of them is
    W = sqrt(dcx^2 + dcy^2 + (dw^2 + dh^2) / 4), in pixels, and the similarity is exp(-W / C). It
    falls smoothly with the distance also where boxes do not overlap, and does not depend on their
    size as the IoU does: for objects of a few pixels the latter jumps.

    Args:
        first: Boxes ``(..., 4)`` as x1, y1, x2, y2 in pixels.
        second: Boxes of a shape that broadcasts with it.
        constant: C in pixels, the mean of sqrt(w h) over the objects of the data set.

    Returns:
        Values ``(...)`` in (0, 1]; 1 for equal boxes.

    Source: Wang et al., "A Normalized Gaussian Wasserstein Distance for Tiny Object Detection",
    2021, equations 5 to 8.

    Examples:
        >>> a = torch.tensor([0.0, 0.0, 4.0, 4.0])
        >>> normalized_wasserstein(a, a + 3, constant=18 ** 0.5)  # exp(-1)
        tensor(0.3679)
    """
    x1, y1, w1, h1 = centers_and_sizes(first)
    x2, y2, w2, h2 = centers_and_sizes(second)
    centers = (x1 - x2).square() + (y1 - y2).square()
    sizes = (w1 - w2).square() + (h1 - h2).square()
    return torch.exp(_root(centers + sizes / 4) / -constant)


def check_constant(user: str, constant: float) -> float:
    """Return the constant of the NWD, or raise ValueError if it is not above 0."""
    if not constant > 0:
        raise UserError(
            f'{user}: constant is {constant}, expected a number of pixels above 0, the mean of '
            'sqrt(width * height) over the objects of the training data'
        )
    return float(constant)


class BoxLoss(nn.Module):
    """A loss of box pairs that weights and reduces as mmdet's box losses do.

    Args:
        reduction: 'mean', 'sum' or 'none'.
        loss_weight: Factor of the loss.

    Raises:
        UserError: There is no such reduction.
    """

    def __init__(self, reduction: str = 'mean', loss_weight: float = 1.0) -> None:
        super().__init__()
        self._check(reduction)
        self.reduction = reduction
        self.loss_weight = loss_weight

    def _check(self, reduction: str) -> None:
        if reduction not in ('none', 'mean', 'sum'):
            raise UserError(
                f"{type(self).__name__}: reduction is {reduction!r}, expected 'none', 'mean' or "
                "'sum'"
            )

    def rows(self, pred: Tensor, target: Tensor) -> Tensor:
        """Loss ``(n,)`` of each pair."""
        raise NotImplementedError

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """The loss.

        Args:
            pred: Boxes ``(n, 4)`` as x1, y1, x2, y2 in pixels.
            target: Boxes ``(n, 4)``, likewise.
            weight: Weights ``(n,)`` or ``(n, 4)``, of which the mean of each row counts.
            avg_factor: What the sum is divided by in place of the number of rows.
            reduction_override: A reduction in place of the module's.

        Returns:
            A scalar, or ``(n,)`` for the reduction 'none'.
        """
        reduction = reduction_override or self.reduction
        self._check(reduction)
        if weight is not None and weight.dim() > 1:
            weight = weight.mean(-1)
        if weight is not None and not (weight > 0).any() and reduction != 'none':
            return pred.sum() * 0  # keeps the graph, even of boxes that are not finite
        dtype = torch.promote_types(pred.dtype, torch.float32)
        loss = self.rows(pred.to(dtype), target.to(dtype))
        return self.loss_weight * weight_reduce_loss(loss, weight, reduction, avg_factor)


@MODELS.register_module()
class NWDLoss(BoxLoss):
    """One minus the normalized Wasserstein distance of each box and its target.

    For ``loss_bbox`` of any head of mmdet that decodes boxes before the loss (``reg_decoded_bbox``
    where there is a choice). Beside an IoU loss, see :class:`BoxLossSum`.

    Args:
        constant: C in pixels of the network's input, the mean of sqrt(w h) over the objects; the
            default is the published one for AI-TOD.
        reduction: 'mean', 'sum' or 'none'.
        loss_weight: Factor of the loss.

    Raises:
        UserError: If ``constant`` is not above 0 or there is no such reduction.

    Source: Wang et al., "A Normalized Gaussian Wasserstein Distance for Tiny Object Detection",
    2021, section 3.4.
    """

    def __init__(
        self, constant: float = 12.8, reduction: str = 'mean', loss_weight: float = 1.0
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.constant = check_constant('NWDLoss', constant)

    def rows(self, pred: Tensor, target: Tensor) -> Tensor:
        """Loss ``(n,)`` of each pair, in [0, 1)."""
        return 1 - normalized_wasserstein(pred, target, self.constant)


@MODELS.register_module()
class BoxLossSum(nn.Module):
    """Sum of several box losses, as one ``loss_bbox``.

    Args:
        losses: Configs of losses of mmdet's interface; their ``loss_weight`` is their share.
        loss_weight: Factor of the sum.

    Raises:
        UserError: If there is no loss.

    Examples:
        In a config, a fifth of NWD beside GIoU: ``loss_bbox=dict(type='BoxLossSum', losses=[
        dict(type='GIoULoss', loss_weight=1.6), dict(type='NWDLoss', loss_weight=0.4)])``
    """

    def __init__(self, losses: list[dict], loss_weight: float = 1.0) -> None:
        super().__init__()
        if not losses:
            raise UserError('BoxLossSum: losses is empty, expected the config of one at least')
        self.losses = nn.ModuleList(MODELS.build(loss) for loss in losses)
        self.loss_weight = loss_weight

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """The sum; arguments as those of :class:`BoxLoss`."""
        terms = [
            loss(
                pred,
                target,
                weight,
                avg_factor=avg_factor,
                reduction_override=reduction_override,
            )
            for loss in self.losses
        ]
        return self.loss_weight * torch.stack(terms).sum(dim=0)
