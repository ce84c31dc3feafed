# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Boxes and scores of every prediction from raw maps, for any batch and size in a trace."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from smallobj_mm.utils.errors import UserError

#: Boxes ``(N, n, 4)`` in px and scores ``(N, n, classes)``.
Predictions = tuple[Tensor, Tensor]


class AnchorDecoding(nn.Module):
    """As ``decode_maps`` of a ``DecoupledCrossHead``.

    Args:
        head: The model's ``bbox_head``.

    Shape:
        Maps ``(N, A * (5 + classes), H, W)`` -> the predictions of all levels together.
    """

    def __init__(self, head: BaseModule) -> None:
        super().__init__()
        self.num_classes = int(head.num_classes)
        self.strides = [float(stride[0]) for stride in head.prior_generator.strides]
        self.coder = head.bbox_coder
        for level, anchors in enumerate(head.prior_generator.base_anchors):
            self.register_buffer(f'anchors_{level}', anchors.detach().clone().float())

    def forward(self, raw_maps: Sequence[Tensor]) -> list[Predictions]:
        """See the class."""
        boxes, sigmoids = [], []
        for level, raw in enumerate(raw_maps):
            anchors, stride = getattr(self, f'anchors_{level}'), self.strides[level]
            rows = raw.float().reshape(raw.shape[0], len(anchors), 5 + self.num_classes, -1)
            rows = rows.permute(0, 3, 1, 2).flatten(1, 2)
            points = _points(raw, stride, anchors.dtype)
            shift = torch.cat([points, points], dim=1).reshape(-1, 1, 4)
            priors = (anchors.unsqueeze(0) + shift).reshape(1, -1, 4)
            boxes.append(self.coder.decode(priors, rows[..., :4], stride))
            sigmoids.append(rows[..., 4:].sigmoid())
        scores = torch.cat(sigmoids, dim=1)
        objectness, scores = scores[..., :1], scores[..., 1:]
        scores = scores * objectness if self.num_classes > 1 else objectness
        return [(torch.cat(boxes, dim=1), scores)]


class DistanceDecoding(nn.Module):
    """As ``predict_by_feat`` of mmdet's ``RTMDetHead`` and ``RTMDetSepBNHead``.

    Args:
        head: The model's ``bbox_head``.

    Raises:
        UserError: Its points or its boxes are of another kind.

    Shape:
        Maps ``(N, classes, H, W)`` of all levels, then distances to the four sides
        ``(N, 4, H, W)`` in px -> the predictions of each level.
    """

    def __init__(self, head: BaseModule) -> None:
        super().__init__()
        kinds = type(head.prior_generator).__name__, type(head.bbox_coder).__name__
        if kinds != ('MlvlPointGenerator', 'DistancePointBBoxCoder'):
            raise UserError(
                f'post-processing: the head has {" and ".join(kinds)}, expected '
                'MlvlPointGenerator and DistancePointBBoxCoder; export the network alone (without '
                '--with-postprocess)'
            )
        self.strides = [float(stride[0]) for stride in head.prior_generator.strides]
        self.offset = float(head.prior_generator.offset)

    def forward(self, raw_maps: Sequence[Tensor]) -> list[Predictions]:
        """See the class."""
        levels = len(self.strides)
        groups = []
        for stride, scores, sides in zip(self.strides, raw_maps[:levels], raw_maps[levels:]):
            points = _points(scores, stride, torch.float32) + self.offset * stride
            distances = sides.float().flatten(2).permute(0, 2, 1)
            boxes = torch.cat([points - distances[..., :2], points + distances[..., 2:]], dim=2)
            groups.append((boxes, scores.float().flatten(2).permute(0, 2, 1).sigmoid()))
        return groups


#: Type of the head -> its decoding.
DECODINGS: dict[str, type[AnchorDecoding] | type[DistanceDecoding]] = {
    'DecoupledCrossHead': AnchorDecoding,
    'RTMDetHead': DistanceDecoding,
    'RTMDetSepBNHead': DistanceDecoding,
}


def _points(level: Tensor, stride: float, dtype: torch.dtype) -> Tensor:
    """x, y ``(H * W, 2)`` of a map's cells in px, row by row."""
    height, width = level.shape[2], level.shape[3]
    x = torch.arange(width, device=level.device).to(dtype) * stride
    y = torch.arange(height, device=level.device).to(dtype) * stride
    x, y = x.unsqueeze(0).expand(height, width), y.unsqueeze(1).expand(height, width)
    return torch.stack([x, y], dim=2).reshape(-1, 2)
