# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression of a batch, in a form that every format can hold."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

#: Candidates with a score below this are none.
_NONE = -0.5


@torch.jit.script
def _greedy_keep(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy suppression by plain tensor operations; see :func:`suppress`.

    Iterating "kept is what no kept better one suppresses" from all kept settles at least one more
    candidate a round, and ends at the greedy answer.
    """
    keep = torch.zeros_like(scores, dtype=torch.bool)
    for image in range(boxes.size(0)):
        index = (scores[image] > -0.5).nonzero()[:, 0]
        index = index[scores[image][index].argsort(stable=True, dim=0, descending=True)]
        chosen = boxes[image][index]
        low = torch.maximum(chosen[:, None, :2], chosen[None, :, :2])
        high = torch.minimum(chosen[:, None, 2:], chosen[None, :, 2:])
        shared = (high - low).clamp(min=0.0).prod(dim=2)
        area = (chosen[:, 2:] - chosen[:, :2]).prod(dim=1)
        # 0 / 0 (two empty boxes) is NaN, which suppresses nothing.
        overlap = shared / (area[:, None] + area[None] - shared)
        above = torch.triu(overlap > iou_threshold, diagonal=1).to(scores.dtype)
        kept = torch.ones_like(index, dtype=torch.bool)
        settled = False
        while not settled:
            updated = torch.mv(above.t(), kept.to(scores.dtype)) == 0
            settled = torch.equal(updated, kept)
            kept = updated
        keep[image, index] = kept
    return keep


class _OnnxSuppression(torch.autograd.Function):
    """ONNX's own operator where a graph is written: (image, 0, position) of what is kept."""

    @staticmethod
    def forward(
        ctx: Any, boxes: Tensor, scores: Tensor, iou_threshold: float, limit: int
    ) -> Tensor:
        """Rows ``(S, 3)`` int64 of every candidate: a graph is written, nobody reads the values."""
        image, position = (scores[:, 0] > _NONE).nonzero(as_tuple=True)
        return torch.stack([image, torch.zeros_like(image), position], dim=1)

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any, iou_threshold: float, limit: int) -> Any:
        """The operator in the graph."""
        constants = (
            torch.tensor([limit], dtype=torch.long),
            torch.tensor([iou_threshold], dtype=torch.float32),
            torch.tensor([_NONE], dtype=torch.float32),
        )
        values = [g.op('Constant', value_t=constant) for constant in constants]
        return g.op('NonMaxSuppression', boxes, scores, *values)


def suppress(boxes: Tensor, scores: Tensor, iou_threshold: float, limit: int) -> Tensor:
    """Which candidates of each image survive greedy suppression.

    Args:
        boxes: ``(N, k, 4)`` x1, y1, x2, y2.
        scores: ``(N, k)``; candidates with negative scores are none and never kept.
        iou_threshold: A box goes when its IoU with a kept one is greater.
        limit: How many the operator of ONNX keeps of an image at most; elsewhere all are kept, and
            the best of them are the same.

    Returns:
        ``(N, k)`` bool.
    """
    if not torch.onnx.is_in_onnx_export():
        # The compiled operators compare with a C float: 0.65 is not the double 0.65.
        return _greedy_keep(boxes, scores, torch.tensor(iou_threshold).item())
    selected = _OnnxSuppression.apply(boxes, scores.unsqueeze(1), iou_threshold, limit)
    position = selected[:, 0] * scores.shape[1] + selected[:, 2]
    flat = torch.zeros_like(scores).reshape(-1)
    flat = flat.scatter(0, position, torch.ones_like(position).to(scores.dtype))
    return flat.reshape(scores.shape[0], scores.shape[1]) > 0
