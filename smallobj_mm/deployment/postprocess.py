# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What comes after the network as network layers: boxes from raw maps, masks from logits."""

from __future__ import annotations

from typing import Any, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from smallobj_mm.utils.errors import UserError

from .decoding import DECODINGS
from .suppression import suppress

#: Settings of the suppression that the files can hold.
_NMS_KEYS = {'type', 'iou_threshold', 'class_agnostic', 'split_thr'}


class DetectionPostprocess(nn.Module):
    """Detections of each image from the raw maps of a detector.

    What the head's ``predict_by_feat`` does, with ``score_thr``, ``nms``, ``nms_pre``,
    ``max_per_img``, ``multi_label`` and ``min_bbox_size`` of its ``test_cfg``.

    Args:
        head: The model's ``bbox_head``: ``DecoupledCrossHead``, ``RTMDetHead`` or
            ``RTMDetSepBNHead``.

    Raises:
        UserError: The head is another one, or its suppression is not the plain one.

    Shape:
        Maps, see :mod:`smallobj_mm.deployment.decoding` -> boxes ``(N, K, 4)`` in px of the image,
        scores ``(N, K)`` best first, labels ``(N, K)`` int64, K being ``max_per_img``; behind the
        last detection of an image are zeros, and -1 as labels.
    """

    #: Names of the outputs.
    outputs = ('boxes', 'scores', 'labels')

    def __init__(self, head: BaseModule) -> None:
        super().__init__()
        kind = type(head).__name__
        if kind not in DECODINGS:
            raise UserError(
                f'post-processing: the head is a {kind}, expected {", ".join(DECODINGS)}; export '
                'the network alone (without --with-postprocess)'
            )
        test = head.test_cfg
        nms = dict(test['nms'])
        if nms.get('type', 'nms') != 'nms' or not set(nms) <= _NMS_KEYS:
            raise UserError(
                f'post-processing: test_cfg.nms is {nms}, expected type nms with iou_threshold; '
                'export the network alone (without --with-postprocess)'
            )
        self.iou_threshold = float(nms['iou_threshold'])
        self.class_agnostic = bool(nms.get('class_agnostic', False))
        self.score_thr = float(test['score_thr'])
        self.nms_pre = int(test['nms_pre'])
        self.max_per_img = int(test['max_per_img'])
        self.multi_label = bool(test.get('multi_label', True))
        self.min_bbox_size = float(test.get('min_bbox_size', -1))
        self.decoding = DECODINGS[kind](head)

    @property
    def settings(self) -> dict[str, Any]:
        """Thresholds and limits."""
        names = ('score_thr', 'iou_threshold', 'class_agnostic', 'nms_pre', 'max_per_img')
        return {name: getattr(self, name) for name in (*names, 'multi_label', 'min_bbox_size')}

    def forward(
        self, raw_maps: Sequence[Tensor], inputs: Tensor, images: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Detections.

        Args:
            raw_maps: Of each level.
            inputs: What the network was given.
            images: What the file was given, unpadded; boxes are held inside.
        """
        groups = self.decoding(raw_maps)
        chosen = [self._choose(boxes, scores, images) for boxes, scores in groups]
        boxes, kept, labels = (torch.cat(parts, dim=1) for parts in zip(*chosen))
        apart = boxes
        if not self.class_agnostic:
            # Boxes of different classes are moved apart, as mmcv's batched_nms does.
            step = boxes.flatten(1).amax(dim=1) + 1
            apart = boxes + (labels.to(boxes.dtype) * step.unsqueeze(1)).unsqueeze(2)
        survives = suppress(apart, kept, self.iou_threshold, self.max_per_img)
        kept = torch.where(survives, kept, torch.full_like(kept, -1.0))
        last = self.nms_pre * len(chosen) - 1
        kept = functional.pad(kept, [0, self.max_per_img], value=-1.0)
        kept, order = _best(kept, self.max_per_img)
        order = order.clamp(max=last)
        valid = kept >= 0
        boxes = _rows(boxes, order) * valid.unsqueeze(2).to(boxes.dtype)
        labels = torch.where(valid, labels.gather(1, order), torch.full_like(order, -1))
        return boxes, kept.clamp(min=0), labels

    def _choose(
        self, boxes: Tensor, scores: Tensor, images: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The ``nms_pre`` best candidates; the scores of those that are none are -1."""
        size = torch.stack([_number(images.shape[3], boxes), _number(images.shape[2], boxes)])
        boxes = torch.minimum(boxes, torch.cat([size, size])).clamp(min=0)
        if self.multi_label:
            kept, columns = scores.flatten(1), scores.shape[2]
        else:
            kept, best = scores.max(dim=2)
            columns = 1
        kept = torch.where(kept > self.score_thr, kept, torch.full_like(kept, -1.0))
        # As many more that are none: there is always a full set of candidates to choose from.
        kept = functional.pad(kept, [0, self.nms_pre], value=-1.0)
        kept, order = _best(kept, self.nms_pre)
        # Their positions end at those of the last prediction.
        row = torch.minimum(order // columns, _whole(scores.shape[1] - 1, order))
        labels = order % columns if self.multi_label else best.gather(1, row)
        boxes = _rows(boxes, row)
        if self.min_bbox_size >= 0:
            large = (boxes[..., 2:] - boxes[..., :2]).amin(dim=2) > self.min_bbox_size
            kept = torch.where(large, kept, torch.full_like(kept, -1.0))
        return boxes * (kept >= 0).unsqueeze(2).to(boxes.dtype), kept, labels


class SegmentationPostprocess(nn.Module):
    """Probability and mask from the logits of a segmentor with one foreground class.

    Args:
        head: The model's ``decode_head``, with ``out_channels=1``.

    Raises:
        UserError: It has more channels.

    Shape:
        Logits ``(N, 1, H, W)``, the last if there are several -> probability ``(N, 1, h, w)``
        float32 and mask ``(N, 1, h, w)`` uint8 (1: probability above the threshold), at the size of
        the unpadded images.
    """

    #: Names of the outputs.
    outputs = ('probability', 'mask')

    def __init__(self, head: BaseModule) -> None:
        super().__init__()
        channels = getattr(head, 'out_channels', None)
        if channels != 1:
            raise UserError(
                f'post-processing: decode_head has out_channels={channels}, expected 1 (sigmoid); '
                'export the network alone (without --with-postprocess)'
            )
        threshold = getattr(head, 'threshold', None)
        self.threshold = 0.5 if threshold is None else float(threshold)
        self.align_corners = bool(head.align_corners)

    @property
    def settings(self) -> dict[str, Any]:
        """The threshold."""
        return {'threshold': self.threshold}

    def forward(
        self, raw_maps: Sequence[Tensor], inputs: Tensor, images: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Probability and mask; the arguments are those of :class:`DetectionPostprocess`."""
        logits = raw_maps[-1].float()
        if tuple(map(int, logits.shape[2:])) != tuple(map(int, inputs.shape[2:])):
            logits = functional.interpolate(
                logits, inputs.shape[2:], mode='bilinear', align_corners=self.align_corners
            )
        probability = logits[:, :, : images.shape[2], : images.shape[3]].sigmoid()
        return probability, (probability > self.threshold).to(torch.uint8)


def _best(scores: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """The highest scores ``(N, number)`` of each row and their positions; of equals the first.

    ONNX's TopK promises this order, PyTorch's does not: its stable sort does.
    """
    if torch.onnx.is_in_onnx_export():
        return scores.topk(number, dim=1)
    values, order = scores.sort(dim=1, descending=True, stable=True)
    return values[:, :number], order[:, :number]


def _number(value: int, like: Tensor) -> Tensor:
    """A size as a float scalar; inside a trace it stays a variable."""
    return torch.as_tensor(value, device=like.device).to(like.dtype)


def _whole(value: int, like: Tensor) -> Tensor:
    """A size as a whole scalar; inside a trace it stays a variable."""
    return torch.as_tensor(value, device=like.device).to(like.dtype)


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Rows ``(N, m, c)`` of values ``(N, n, c)`` at positions ``(N, m)``."""
    return values.gather(1, index.unsqueeze(2).expand(-1, -1, values.shape[2]))
