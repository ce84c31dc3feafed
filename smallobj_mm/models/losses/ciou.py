# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Complete IoU of aligned boxes."""

import math

import torch
from torch import Tensor


def aligned_ciou(pred: Tensor, target: Tensor, eps: float = 1e-7) -> Tensor:
    """Complete IoU of each predicted box with the target box of the same row.

    mmdet's ``CIoULoss`` switches the aspect term off below an IoU of 0.5; here it always counts,
    as in the paper, its weight being held constant in the gradient.

    Args:
        pred: Boxes ``(n, 4)`` as x1, y1, x2, y2.
        target: Boxes ``(n, 4)``, likewise.
        eps: Guards the divisions.

    Returns:
        CIoU ``(n,)``, at most 1.

    Source: Zheng et al., "Distance-IoU Loss: Faster and Better Learning for Bounding Box
    Regression", AAAI 2020.

    Examples:
        >>> box = torch.tensor([[0.0, 0.0, 4.0, 2.0]])
        >>> aligned_ciou(box, box)
        tensor([1.])
    """
    pred_size = pred[:, 2:] - pred[:, :2]
    target_size = target[:, 2:] - target[:, :2]
    overlap = torch.minimum(pred[:, 2:], target[:, 2:]) - torch.maximum(pred[:, :2], target[:, :2])
    intersection = overlap.clamp(min=0).prod(dim=1)
    union = pred_size.prod(dim=1) + target_size.prod(dim=1) - intersection + eps
    iou = intersection / union

    hull = torch.maximum(pred[:, 2:], target[:, 2:]) - torch.minimum(pred[:, :2], target[:, :2])
    diagonal = hull.square().sum(dim=1) + eps
    offset = (pred[:, :2] + pred[:, 2:] - target[:, :2] - target[:, 2:]) / 2
    distance = offset.square().sum(dim=1) / diagonal

    angle = torch.atan(target_size[:, 0] / (target_size[:, 1] + eps)) - torch.atan(
        pred_size[:, 0] / (pred_size[:, 1] + eps)
    )
    aspect = 4 / math.pi**2 * angle.square()
    with torch.no_grad():
        weight = aspect / (aspect - iou + 1 + eps)
    return iou - distance - weight * aspect
