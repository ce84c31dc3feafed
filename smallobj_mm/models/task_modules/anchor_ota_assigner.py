# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Optimal transport assignment among the anchors around each target."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from smallobj_mm.registry import TASK_UTILS


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
class AnchorOTAAssigner:
    """Gives each target the dynamic number of predictions that answer for it most cheaply.

    Candidates are the anchors whose width and height are within ``ratio_thr`` of the target's,
    in the target's cell and the two cells nearest to its centre. Within an image every target
    is weighed against every candidate: cost = class BCE of sqrt(p(class) * p(object)) against
    one-hot + ``iou_weight`` * (-log IoU). A target takes its k cheapest candidates, k being the
    sum of its ``topk`` highest IoUs, rounded down, at least 1; a candidate that several targets
    claim goes to the target to which it is cheapest.

    Args:
        ratio_thr: Largest ratio of sides, either way, between an anchor and a target.
        topk: Number of IoUs that make up k.
        iou_weight: Weight of the localisation term.
        scale_by_height: Compare the candidates with boxes whose x coordinates are scaled to the
            height of the image instead of its width. This is what the authors' program does: the
            same on square images, a defect on others. For parity only.

    Source: Ge et al., "OTA: Optimal Transport Assignment for Object Detection", CVPR 2021, in the
    simplified form of YOLOX, over the candidates of an anchor-based detector.
    """

    #: Neighbour cells as (x, y) steps in half cells: the own one, left, up, right, down.
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
        centre: Tensor,
        size: Tensor,
        anchors: Tensor,
        strides: Tensor,
        grids: Sequence[tuple[int, int]],
    ) -> Candidates:
        """Predictions near the targets.

        Args:
            image: Image of each target ``(t,)``, in rising order.
            centre: Centres of the targets ``(t, 2)`` as x, y in pixels.
            size: Sizes of the targets ``(t, 2)`` as w, h in pixels.
            anchors: Anchor sizes ``(levels, anchors, 2)`` in pixels.
            strides: Strides of the levels ``(levels,)`` in pixels.
            grids: Height and width of each level's map.

        Returns:
            The candidates, ordered by target, hence by image.
        """
        ratio = size[:, None, None] / anchors  # (t, levels, anchors, 2)
        fits = torch.maximum(ratio, 1 / ratio).amax(dim=-1) < self.ratio_thr

        grid = centre.new_tensor([(w, h) for h, w in grids])  # (levels, 2)
        here = centre[:, None] / strides[:, None]  # (t, levels, 2) in cells
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
        image: Tensor,
        labels: Tensor,
        bboxes: Tensor,
        candidate_image: Tensor,
        candidate_bboxes: Tensor,
        candidate_scores: Tensor,
        num_images: int,
        img_shape: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """Match candidates with targets, image by image.

        Args:
            image: Image of each target ``(t,)``, in rising order.
            labels: Class of each target ``(t,)``.
            bboxes: Boxes of the targets ``(t, 4)`` as x1, y1, x2, y2 in pixels.
            candidate_image: Image of each candidate ``(n,)``, in rising order.
            candidate_bboxes: Decoded boxes of the candidates ``(n, 4)``.
            candidate_scores: sqrt(p(class) * p(object)) of the candidates ``(n, classes)``.
            num_images: Number of images in the batch.
            img_shape: Height and width of the images as the network takes them, in pixels.

        Returns:
            Positions of the matched candidates ``(m,)`` and of their targets ``(m,)``.
        """
        if self.scale_by_height:
            x_scale = img_shape[0] / img_shape[1]
            bboxes = bboxes * bboxes.new_tensor([x_scale, 1, x_scale, 1])
        targets_of = torch.bincount(image, minlength=num_images).tolist()
        candidates_of = torch.bincount(candidate_image, minlength=num_images).tolist()
        matched, matched_target = [], []
        # Two work areas for all images: fresh pages would cost more than the arithmetic.
        pairs = max(t * c for t, c in zip(targets_of, candidates_of))
        space = candidate_bboxes.new_empty((2, pairs))
        first_target = first_candidate = 0
        for num_targets, num_candidates in zip(targets_of, candidates_of):
            if num_targets and num_candidates:
                t = slice(first_target, first_target + num_targets)
                c = slice(first_candidate, first_candidate + num_candidates)
                area = space[:, : num_targets * num_candidates]
                candidate, target = self._match(
                    labels[t],
                    bboxes[t],
                    candidate_bboxes[c],
                    candidate_scores[c],
                    area.view(2, num_targets, num_candidates),
                )
                matched.append(candidate + first_candidate)
                matched_target.append(target + first_target)
            first_target += num_targets
            first_candidate += num_candidates
        if not matched:
            return image.new_zeros(0), image.new_zeros(0)
        return torch.cat(matched), torch.cat(matched_target)

    def _match(
        self,
        labels: Tensor,
        bboxes: Tensor,
        candidate_bboxes: Tensor,
        scores: Tensor,
        space: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """:meth:`assign` for one image; ``space`` (2, targets, candidates) is overwritten."""
        iou = self._pairwise_iou(bboxes, candidate_bboxes, space)
        top = iou.topk(min(self.topk, iou.shape[1]), dim=1).values
        k = top.sum(dim=1).int().clamp(min=1)

        # exp(-cost / iou_weight) in place of the cost: the same order without a logarithm for
        # each pair. Each class starts from its cheapest candidate, so that none underflows.
        scores = scores.t().contiguous()  # (classes, n)
        negative = torch.log1p(-scores)
        class_cost = negative - torch.log(scores) - negative.sum(dim=0)
        excess = class_cost - class_cost.amin(dim=1, keepdim=True)
        class_worth = (excess / -self.iou_weight).exp_()
        worth = torch.index_select(class_worth, 0, labels, out=space[1])
        worth *= iou.add_(1e-8)

        best = worth.topk(int(k.max()), dim=1).indices
        taken = torch.arange(best.shape[1], device=k.device) < k[:, None]
        target, rank = taken.nonzero(as_tuple=True)
        candidate = best[target, rank]
        claims = torch.bincount(candidate, minlength=worth.shape[1])
        owner = torch.zeros_like(claims).index_put_((candidate,), target)
        contested = (claims > 1).nonzero().squeeze(1)
        # Between targets of different classes only the cost itself compares.
        cost = class_cost[:, contested][labels]
        cost -= self.iou_weight * iou[:, contested].log()
        owner[contested] = cost.argmin(dim=0)
        candidate = claims.nonzero().squeeze(1)
        return candidate, owner[candidate]

    @staticmethod
    def _pairwise_iou(a: Tensor, b: Tensor, space: Tensor) -> Tensor:
        """IoU ``(len(a), len(b))``, in the first part of ``space`` (2, len(a), len(b))."""
        # Rows of x1, y1, x2, y2 each: a strided operand would leave vector instructions unused.
        (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.t()[..., None], b.t().contiguous()
        inter, other = space
        torch.minimum(ax2, bx2, out=inter)
        inter -= torch.maximum(ax1, bx1, out=other)
        inter.clamp_(min=0)
        # The height may stay negative: the product is then no more than 0.
        height = torch.minimum(ay2, by2, out=other) - torch.maximum(ay1, by1)
        inter *= height
        inter.clamp_(min=0)
        area = (bx2 - bx1) * (by2 - by1)
        torch.add((ax2 - ax1) * (ay2 - ay1), area, out=other).sub_(inter)
        return inter.div_(other)
