# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Optimal transport assignment among the anchors around each target."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmdet.models.task_modules.assigners import AssignResult, BaseAssigner
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData
from torch import Tensor

from smallobj_mm.registry import TASK_UTILS
from smallobj_mm.utils.errors import UserError


class Candidates(NamedTuple):
    """Predictions that may answer for a target, ``n`` in all, ordered by image.

    The same prediction stands here once for each target that it lies near to.
    """

    image: Tensor  #: (n,) image in the batch
    level: Tensor  #: (n,) feature level
    anchor: Tensor  #: (n,) anchor of the level
    row: Tensor  #: (n,) row of the cell
    col: Tensor  #: (n,) column of the cell

    def pick(self, index: Tensor) -> 'Candidates':
        """The candidates at ``index``, a mask ``(n,)`` or positions ``(m,)``."""
        return Candidates(*(field[index] for field in self))


@TASK_UTILS.register_module()
class AnchorOTAAssigner(BaseAssigner):
    """Gives each target the dynamic number of predictions that answer for it most cheaply.

    Candidates are the anchors whose width and height are within ``ratio_thr`` of the target's,
    in the target's cell and the two cells nearest to its center. Within an image every target
    is weighed against every candidate: cost = class BCE of sqrt(p(class) * p(object)) against
    one-hot + ``iou_weight`` * (-log IoU). A target takes its k cheapest candidates, k being the
    sum of its ``topk`` highest IoUs, rounded down, at least 1; a candidate that several targets
    claim goes to the target to which it is cheapest.

    Args:
        ratio_thr: Largest ratio of sides, either way, between an anchor and a target.
        topk: Number of IoUs that make up k.
        iou_weight: Weight of the localization term.
        scale_by_height: Compare the candidates with boxes whose x coordinates are scaled to the
            height of the image instead of its width. This is what the authors' program does: the
            same on square images, a defect on others. For parity only.

    Source: Ge et al., "OTA: Optimal Transport Assignment for Object Detection", CVPR 2021, in the
    simplified form of YOLOX, over the candidates of an anchor-based detector.
    """

    #: Neighbor cells as (x, y) steps in half cells: the own one, left, up, right, down.
    _STEPS = ((0, 0), (-1, 0), (0, -1), (1, 0), (0, 1))

    def __init__(
        self,
        ratio_thr: float = 4.0,
        topk: int = 10,
        iou_weight: float = 3.0,
        scale_by_height: bool = False,
    ) -> None:
        self.ratio_thr = ratio_thr
        self.topk = topk
        self.iou_weight = iou_weight
        self.scale_by_height = scale_by_height

    def candidates(
        self,
        image: Tensor,
        center: Tensor,
        size: Tensor,
        anchors: Tensor,
        strides: Tensor,
        grids: Sequence[tuple[int, int]],
    ) -> Candidates:
        """Predictions near the targets.

        Args:
            image: Image of each target ``(t,)``, in rising order.
            center: Centers of the targets ``(t, 2)`` as x, y in pixels.
            size: Sizes of the targets ``(t, 2)`` as w, h in pixels.
            anchors: Anchor sizes ``(levels, anchors, 2)`` in pixels.
            strides: Strides of the levels ``(levels,)`` in pixels.
            grids: Height and width of each level's map.

        Returns:
            The candidates, ordered by target, hence by image.
        """
        ratio = size[:, None, None] / anchors  # (t, levels, anchors, 2)
        fits = torch.maximum(ratio, 1 / ratio).amax(dim=-1) < self.ratio_thr

        grid = center.new_tensor([(w, h) for h, w in grids])  # (levels, 2)
        here = center[:, None] / strides[:, None]  # (t, levels, 2) in cells
        rest = grid - here
        near_low = (here % 1 < 0.5) & (here > 1)
        near_high = (rest % 1 < 0.5) & (rest > 1)
        near = torch.cat([torch.ones_like(near_low[..., :1]), near_low, near_high], dim=-1)

        target, level, anchor, step = (fits[..., None] & near[:, :, None]).nonzero(as_tuple=True)
        cell = here[target, level] + 0.5 * here.new_tensor(self._STEPS)[step]
        cell = cell.clamp(min=0).minimum(grid[level] - 1).long()
        return Candidates(image[target], level, anchor, cell[:, 1], cell[:, 0])

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        img_shape: tuple[int, int] | None = None,
    ) -> AssignResult:
        """Match the predictions of one image with its targets.

        Args:
            pred_instances: Predictions that may be matched, ``n``: decoded ``bboxes`` ``(n, 4)``
                as x1, y1, x2, y2 in pixels and ``scores`` ``(n, classes)``, the
                sqrt(p(class) * p(object)) strictly between 0 and 1. The head gives those that
                :meth:`candidates` finds; a prediction near to several targets comes several times.
            gt_instances: ``bboxes`` ``(t, 4)`` and ``labels`` ``(t,)`` of the targets.
            gt_instances_ignore: Not used; the head keeps regions to ignore out of its background.
            img_shape: Height and width of the image as the network takes it, in pixels; for
                ``scale_by_height``.

        Returns:
            For each prediction 1 + the position of its target in ``gt_inds``, 0 where it has
            none, the IoU with its target in ``max_overlaps``, else 0, and the target's class in
            ``labels``, else -1.

        Raises:
            UserError: If ``scale_by_height`` is set and ``img_shape`` is not given.
        """
        predicted = get_box_tensor(pred_instances.bboxes)
        boxes, labels = get_box_tensor(gt_instances.bboxes), gt_instances.labels
        owner = labels.new_zeros(len(predicted))
        overlaps = predicted.new_zeros(len(predicted))
        classes = labels.new_full((len(predicted),), -1)
        if len(boxes) and len(predicted):
            if self.scale_by_height:
                if img_shape is None:
                    raise UserError(
                        'AnchorOTAAssigner: img_shape is None, expected height and width of the '
                        'image where scale_by_height is set'
                    )
                x_scale = img_shape[0] / img_shape[1]
                boxes = boxes * boxes.new_tensor([x_scale, 1, x_scale, 1])
            iou = pairwise_iou(boxes, predicted)
            matched, target = self._match(labels, iou, pred_instances.scores)
            owner[matched] = target + 1
            overlaps[matched] = iou[target, matched]
            classes[matched] = labels[target]
        return AssignResult(len(boxes), owner, overlaps, labels=classes)

    def _match(self, labels: Tensor, iou: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Positions of the matched predictions ``(m,)`` and of their targets ``(m,)``.

        Args:
            labels: Class of each target ``(t,)``.
            iou: Overlaps ``(t, n)``.
            scores: ``(n, classes)``.
        """
        top = iou.topk(min(self.topk, iou.shape[1]), dim=1).values
        k = top.sum(dim=1).int().clamp(min=1)

        negative = torch.log1p(-scores)
        class_cost = (negative - scores.log() - negative.sum(dim=1, keepdim=True)).t()
        cost = iou.add(1e-8).log_().mul_(-self.iou_weight).add_(class_cost[labels])

        best = cost.topk(int(k.max()), dim=1, largest=False).indices
        taken = torch.arange(best.shape[1], device=k.device) < k[:, None]
        target, rank = taken.nonzero(as_tuple=True)
        candidate = best[target, rank]
        claims = torch.bincount(candidate, minlength=cost.shape[1])
        owner = torch.zeros_like(claims).index_put_((candidate,), target)
        contested = (claims > 1).nonzero().squeeze(1)
        owner[contested] = cost[:, contested].argmin(dim=0)
        candidate = claims.nonzero().squeeze(1)
        return candidate, owner[candidate]


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU ``(m, n)`` of boxes ``(m, 4)`` and ``(n, 4)``, x1, y1, x2, y2.

    mmdet's ``bbox_overlaps`` computes with pairs of coordinates, several times slower on a CPU.
    """
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.t()[..., None], b.t().contiguous()
    width = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1)).clamp_(min=0)
    height = (torch.minimum(ay2, by2) - torch.maximum(ay1, by1)).clamp_(min=0)
    inter = width.mul_(height)
    union = torch.add((ax2 - ax1) * (ay2 - ay1), (bx2 - bx1) * (by2 - by1)).sub_(inter)
    return inter.div_(union)
