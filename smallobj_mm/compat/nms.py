# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Hard and soft NMS with the semantics of mmcv's compiled operators.

Source: ``mmcv/ops/csrc/pytorch/cpu/nms.cpp`` and ``common/cuda/nms_cuda_kernel.cuh`` of mmcv
(Apache-2.0) define what the results are; how they are computed here differs. Signatures are
those that ``mmcv.ops.nms`` calls.
"""

import numpy as np
import torch
from torch import Tensor

from .spatial_nms import fits, spatial_nms

#: Up to so many boxes on a CPU, all are compared with all.
DENSE_BOXES = 256
#: Candidates settled at a time. A block costs one small square matrix of overlaps and one
#: (kept in the block) x (still undecided) matrix; on a GPU fewer and larger steps pay.
CPU_BLOCK = 128
CUDA_BLOCK = 1024


def _suppresses(
    boxes_a: Tensor,
    areas_a: Tensor,
    boxes_b: Tensor,
    areas_b: Tensor,
    threshold: Tensor,
    offset: int,
) -> Tensor:
    """Whether box a overlaps box b by more than the threshold.

    Args:
        boxes_a (Tensor): (4, N) rows x1, y1, x2, y2 in pixels, float32.
        areas_a (Tensor): (N,).
        boxes_b (Tensor): (4, M).
        areas_b (Tensor): (M,).
        threshold (Tensor): float32 scalar.
        offset (int): Added to widths and heights, 0 or 1.

    Returns:
        Tensor: (N, M) bool.
    """
    a, b = boxes_a[:, :, None], boxes_b[:, None, :]
    width = torch.minimum(a[2], b[2]).sub_(torch.maximum(a[0], b[0])).add_(offset).clamp_(min=0)
    inter = torch.minimum(a[3], b[3]).sub_(torch.maximum(a[1], b[1])).add_(offset).clamp_(min=0)
    inter.mul_(width)
    union = torch.add(areas_a[:, None], areas_b[None, :], out=width).sub_(inter)
    if inter.is_cuda:
        # The CUDA kernel multiplies where the CPU one divides; they round differently.
        return inter > union.mul_(threshold)
    # 0 / 0 (two empty boxes) is NaN, which suppresses nothing, as in the compiled operator.
    return inter.div_(union) > threshold


def _greedy_keep(suppresses: Tensor) -> Tensor:
    """Solve keep[j] = no kept i < j suppresses j.

    Iterating the definition from "all kept" settles at least one more leading entry a round, so
    that it ends at the greedy answer; the number of rounds is the length of the longest chain
    of suppressions, which is short in practice.

    Args:
        suppresses (Tensor): (N, N) bool, entries with i >= j are ignored.

    Returns:
        Tensor: (N,) bool.
    """
    upper = torch.triu(suppresses, diagonal=1)
    keep = ~upper.any(dim=0)
    if bool(keep.all()):
        return keep
    weights = upper.float()
    while True:
        updated = torch.mv(weights.t(), keep.float()) == 0
        if torch.equal(updated, keep):
            return keep
        keep = updated


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Greedy non-maximum suppression, boxes of equal scores in the order they came in.

    The compiled operator sorts with an unstable sort on CPUs that have a fast one, so it promises
    no order between equal scores; here it is always the stable one.

    Args:
        boxes (Tensor): (N, 4) x1, y1, x2, y2 in pixels, CPU or CUDA. Computed in float32, the
            only type that the compiled CPU operator takes.
        scores (Tensor): (N,), same device.
        iou_threshold (float): A box goes when its IoU with a kept one is *greater* than this.
        offset (int): Added to widths and heights, 0 or 1.

    Returns:
        Tensor: (K,) int64 indices of the kept boxes, highest score first.
    """
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.long, device=boxes.device)
    boxes, scores = boxes.detach(), scores.detach()
    order = scores.sort(dim=0, descending=True, stable=True).indices
    rest = boxes.float().t().index_select(1, order).contiguous()
    if not rest.is_cuda and len(order) > DENSE_BOXES and fits(rest.numpy(), iou_threshold, offset):
        return order[torch.from_numpy(spatial_nms(rest.numpy(), iou_threshold, offset))]
    areas = (rest[2] - rest[0] + offset) * (rest[3] - rest[1] + offset)
    # The compiled operator takes a C float: 0.65 is not the double 0.65.
    threshold = torch.tensor(iou_threshold, dtype=torch.float32, device=rest.device)
    block = CUDA_BLOCK if rest.is_cuda else CPU_BLOCK
    kept = []
    while order.numel():
        head, head_areas = rest[:, :block], areas[:block]
        keep = _greedy_keep(
            _suppresses(head, head_areas, head, head_areas, threshold, offset)
        ).nonzero()[:, 0]
        kept.append(order[keep])
        order, rest, areas = order[block:], rest[:, block:], areas[block:]
        if order.numel():
            gone = _suppresses(head[:, keep], head_areas[keep], rest, areas, threshold, offset).any(
                dim=0
            )
            left = (~gone).nonzero()[:, 0]
            order, rest, areas = order[left], rest[:, left], areas[left]
    return torch.cat(kept)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS (Bodla et al., 2017): overlapping boxes lose score instead of being removed.

    The selection is sequential by definition (each choice changes the scores that the next is
    made from): one step per kept box, each vectorized over the boxes left. The bookkeeping
    (swap of the chosen box, holes filled from the end) is that of the compiled operator, as it
    decides between equal scores.

    Args:
        boxes (Tensor): (N, 4) x1, y1, x2, y2 in pixels, on the CPU.
        scores (Tensor): (N,), on the CPU.
        dets (Tensor): (N, 5) output, its first K rows are written: box and lowered score.
        iou_threshold (float): Overlap from which on naive and linear lower the score.
        sigma (float): Width of the Gaussian.
        min_score (float): Boxes whose score falls below this are dropped.
        method (int): 0 naive, 1 linear, 2 Gaussian.
        offset (int): Added to widths and heights, 0 or 1.

    Returns:
        Tensor: (K,) int64 indices of the kept boxes in the order they were chosen.
    """
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.long)
    f32 = np.float32
    extra, threshold, spread, least = map(f32, (offset, iou_threshold, sigma, min_score))
    # One row a quantity: x1, y1, x2, y2, score, area.
    table = np.empty((6, boxes.shape[0]), dtype=f32)
    table[:4] = boxes.detach().float().cpu().numpy().T
    table[4] = scores.detach().float().cpu().numpy()
    table[5] = (table[2] - table[0] + extra) * (table[3] - table[1] + extra)
    inds = np.arange(boxes.shape[0])
    step, count = 0, boxes.shape[0]
    with np.errstate(divide='ignore', invalid='ignore'):
        while step < count:
            best = step + _first_maximum(table[4, step:count])
            table[:, [step, best]] = table[:, [best, step]]
            inds[[step, best]] = inds[[best, step]]
            x1, y1, x2, y2, _, area = table[:, step]
            step += 1
            left = table[:, step:count]
            width = np.maximum(np.minimum(x2, left[2]) - np.maximum(x1, left[0]) + extra, f32(0))
            height = np.maximum(np.minimum(y2, left[3]) - np.maximum(y1, left[1]) + extra, f32(0))
            inter = width * height
            overlap = inter / (area + left[5] - inter)
            if method == 2:
                # Exponential in double, rounded once: within one rounding of C's expf.
                left[4] *= np.exp((-(overlap * overlap) / spread).astype(np.float64)).astype(f32)
            else:
                lowered = f32(0) if method == 0 else f32(1) - overlap
                left[4] *= np.where(overlap >= threshold, lowered, f32(1))
            dropped = left[4] < least
            if dropped.any():
                end = step + int((~dropped).sum())
                survivors = np.flatnonzero(~dropped) + step
                holes = np.flatnonzero(dropped[: end - step]) + step
                fillers = survivors[survivors >= end][::-1]
                table[:, holes] = table[:, fillers]
                inds[holes] = inds[fillers]
                count = end
    dets[:count] = torch.from_numpy(table[:5, :count].T.copy()).to(dets)
    return torch.from_numpy(inds[:count].copy())


def _first_maximum(scores: np.ndarray) -> int:
    """Index of the first largest score; a NaN wins only from the front, as by C's ``<``."""
    if np.isnan(scores[0]):
        return 0
    return int(np.where(np.isnan(scores), -np.inf, scores).argmax())
