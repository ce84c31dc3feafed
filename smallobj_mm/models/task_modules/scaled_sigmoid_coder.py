# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Box coder with bounded offsets and sizes."""

import torch
from mmdet.models.task_modules import BaseBBoxCoder
from torch import Tensor

from smallobj_mm.registry import TASK_UTILS


@TASK_UTILS.register_module()
class ScaledSigmoidBBoxCoder(BaseBBoxCoder):
    """Center within 1.5 cells of the anchor's cell, size up to 4 times the anchor's.

    With ``s = sigmoid(t)``: center = anchor center + (2 s - 1) * stride, size = (2 s)^2 * anchor
    size. The anchor's center is the middle of its cell.
    """

    encode_size = 4

    def encode(self, bboxes: Tensor, gt_bboxes: Tensor, stride: Tensor | int) -> Tensor:
        """The raw values that decode to given boxes; see :meth:`decode` for the shapes.

        Values out of reach (a center over 1.5 cells away, a size over 4 times the anchor's) are
        held at the border.
        """
        eps = 1e-6
        stride = torch.as_tensor(stride, dtype=bboxes.dtype, device=bboxes.device)
        stride = stride.reshape(-1, 1) if stride.ndim else stride
        size = bboxes[..., 2:] - bboxes[..., :2]
        gt_size = gt_bboxes[..., 2:] - gt_bboxes[..., :2]
        offset = (gt_bboxes[..., :2] + gt_bboxes[..., 2:] - bboxes[..., :2] - bboxes[..., 2:]) / 2
        xy = (offset / stride + 1) / 2
        wh = (gt_size / size).sqrt() / 2
        return torch.logit(torch.cat([xy, wh], dim=-1), eps=eps)

    def decode(self, bboxes: Tensor, pred_bboxes: Tensor, stride: Tensor | int) -> Tensor:
        """Boxes of raw predictions.

        Args:
            bboxes: Anchors ``(..., 4)`` as x1, y1, x2, y2 in pixels.
            pred_bboxes: Raw values ``(..., 4)``: x, y, w, h before the sigmoid.
            stride: Stride in pixels, one number or one per anchor ``(n,)``.

        Returns:
            Boxes ``(..., 4)`` as x1, y1, x2, y2 in pixels.
        """
        if isinstance(stride, Tensor) and stride.ndim:
            stride = stride[:, None]
        twice = 2 * pred_bboxes.sigmoid()
        center = (bboxes[..., :2] + bboxes[..., 2:]) / 2 + (twice[..., :2] - 1) * stride
        half = twice[..., 2:].square() * (bboxes[..., 2:] - bboxes[..., :2]) / 2
        return torch.cat([center - half, center + half], dim=-1)
