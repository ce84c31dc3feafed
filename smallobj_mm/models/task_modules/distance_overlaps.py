# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Overlap measures for tiny boxes, in place of the IoU in assigners."""

from __future__ import annotations

import torch
from mmdet.structures.bbox import BaseBoxes, bbox_overlaps, get_box_tensor
from torch import Tensor

from smallobj_mm.models.losses.wasserstein import (
    centers_and_sizes,
    check_constant,
    normalized_wasserstein,
)
from smallobj_mm.registry import TASK_UTILS
from smallobj_mm.utils.errors import UserError


class DistanceOverlaps:
    """A similarity of boxes with the interface of mmdet's ``BboxOverlaps2D``.

    For ``iou_calculator`` of any assigner of mmdet. Only the mode 'iou' is the measure; 'iof',
    with which assigners find the priors in ignore regions, and 'giou' stay what they are.

    Args:
        share: Part of the measure in the value, in [0, 1]; the rest is the IoU.

    Raises:
        UserError: If ``share`` is outside its range.
    """

    def __init__(self, share: float = 1.0) -> None:
        if not 0 <= share <= 1:
            raise UserError(f'{type(self).__name__}: share is {share}, expected a value in [0, 1]')
        self.share = share

    def measure(self, first: Tensor, second: Tensor) -> Tensor:
        """Similarity ``(...)`` in [0, 1] of boxes ``(..., 4)`` that broadcast."""
        raise NotImplementedError

    def __call__(
        self,
        bboxes1: Tensor | BaseBoxes,
        bboxes2: Tensor | BaseBoxes,
        mode: str = 'iou',
        is_aligned: bool = False,
    ) -> Tensor:
        """Similarities of boxes.

        Args:
            bboxes1: Boxes ``(..., m, 4)`` as x1, y1, x2, y2 in pixels; further columns (a score)
                do not count.
            bboxes2: Boxes ``(..., n, 4)``, likewise.
            mode: 'iou' for the measure, 'iof' or 'giou' for what mmdet means by them.
            is_aligned: Compare row by row; then m equals n.

        Returns:
            ``(..., m, n)``, or ``(..., m)`` if aligned, in float32 or, for doubles, float64.

        Raises:
            UserError: If the boxes are to be aligned and are not equally many.
        """
        first, second = (get_box_tensor(boxes)[..., :4] for boxes in (bboxes1, bboxes2))
        if is_aligned and first.shape[-2] != second.shape[-2]:
            raise UserError(
                f'{type(self).__name__}: {first.shape[-2]} and {second.shape[-2]} boxes, expected '
                'as many of each where is_aligned is true'
            )
        dtype = torch.promote_types(torch.promote_types(first.dtype, second.dtype), torch.float32)
        first, second = first.to(dtype), second.to(dtype)
        if mode != 'iou' or self.share == 0:
            return bbox_overlaps(first, second, mode, is_aligned)
        if is_aligned:
            value = self.measure(first, second)
        else:
            value = self.measure(first[..., :, None, :], second[..., None, :, :])
        if self.share < 1:
            iou = bbox_overlaps(first, second, 'iou', is_aligned)
            value = torch.lerp(iou, value, self.share)
        return value


@TASK_UTILS.register_module()
class NWDOverlaps(DistanceOverlaps):
    """Normalized Wasserstein distance, see :func:`normalized_wasserstein`.

    Args:
        constant: C in pixels of the network's input, the mean of sqrt(w h) over the objects; the
            default is the published one for AI-TOD.
        share: Part of the measure in the value, in [0, 1]; the rest is the IoU.

    Raises:
        UserError: If an option is outside its range.

    Source: Wang et al., "A Normalized Gaussian Wasserstein Distance for Tiny Object Detection",
    2021.
    """

    def __init__(self, constant: float = 12.8, share: float = 1.0) -> None:
        super().__init__(share)
        self.constant = check_constant('NWDOverlaps', constant)

    def measure(self, first: Tensor, second: Tensor) -> Tensor:
        """exp(-W / C)."""
        return normalized_wasserstein(first, second, self.constant)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(constant={self.constant}, share={self.share})'


@TASK_UTILS.register_module()
class SimDOverlaps(DistanceOverlaps):
    """Similarity distance: place and shape, each relative to the sizes of the two boxes.

    With the differences dx, dy of the centers and dw, dh of the sizes, SimD = exp(-(L + S)),

        L = sqrt((dx / ((w1 + w2) / m))^2 + (dy / ((h1 + h2) / n))^2)
        S = sqrt((dw / ((w1 + w2) / m))^2 + (dh / ((h1 + h2) / n))^2)

    so that m and n multiply the relative differences. They are numbers of the data set and its
    priors: the means of ``|dx| / (w1 + w2)`` and ``|dy| / (h1 + h2)`` over all pairs of an object
    and a prior of the same image, which :func:`simd_norms` computes. The larger they are (large
    images, small objects), the faster the value falls with the distance. Other than the NWD it does
    not change when both boxes are scaled.

    Args:
        m: Norm of the x direction, above 0.
        n: Norm of the y direction, above 0.
        share: Part of the measure in the value, in [0, 1]; the rest is the IoU.

    Raises:
        UserError: If an option is outside its range.

    Source: Shi et al., "Similarity Distance-Based Label Assignment for Tiny Object Detection",
    IROS 2024, section III.
    """

    def __init__(self, m: float, n: float, share: float = 1.0) -> None:
        super().__init__(share)
        if not (m > 0 and n > 0):
            raise UserError(
                f'SimDOverlaps: m is {m} and n {n}, expected numbers above 0; simd_norms computes '
                'them for a data set and its priors'
            )
        self.m = m
        self.n = n

    def measure(self, first: Tensor, second: Tensor) -> Tensor:
        """exp(-(L + S))."""
        x1, y1, w1, h1 = centers_and_sizes(first)
        x2, y2, w2, h2 = centers_and_sizes(second)
        # Sizes of 0, which predictions may have, would make 0 / 0.
        width = self.m / (w1 + w2).clamp(min=1e-6)
        height = self.n / (h1 + h2).clamp(min=1e-6)
        place = torch.hypot((x1 - x2) * width, (y1 - y2) * height)
        shape = torch.hypot((w1 - w2) * width, (h1 - h2) * height)
        return torch.exp(-(place + shape))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(m={self.m}, n={self.n}, share={self.share})'


def mean_object_size(boxes: Tensor) -> float:
    """Mean of sqrt(w h) in pixels over objects ``(n, 4)``: the constant of the NWD.

    Raises:
        UserError: If there are no boxes.
    """
    if not len(boxes):
        raise UserError('mean_object_size: found no boxes, expected one at least')
    return float((boxes[:, 2:4] - boxes[:, :2]).clamp(min=0).prod(dim=1).sqrt().mean())


def simd_norms(objects: list[Tensor], priors: list[Tensor]) -> tuple[float, float]:
    """Numbers m and n of :class:`SimDOverlaps` for a data set.

    Args:
        objects: Boxes ``(k, 4)`` of each image, x1, y1, x2, y2 in pixels of the network's input.
        priors: Anchors ``(p, 4)`` of each image, likewise.

    Returns:
        The means of ``|dx| / (w1 + w2)`` and ``|dy| / (h1 + h2)`` over all pairs of an object and a
        prior of the same image.

    Raises:
        UserError: If there is no such pair, or the lists differ in length.
    """
    if len(objects) != len(priors):
        raise UserError(
            f'simd_norms: boxes of {len(objects)} images and priors of {len(priors)}, expected '
            'both for each image'
        )
    total, pairs = torch.zeros(2, dtype=torch.float64), 0
    for boxes, anchors in zip(objects, priors):
        x1, y1, w1, h1 = centers_and_sizes(boxes[:, None].double())
        x2, y2, w2, h2 = centers_and_sizes(anchors[None].double())
        total[0] += ((x1 - x2).abs() / (w1 + w2)).sum().cpu()
        total[1] += ((y1 - y2).abs() / (h1 + h2)).sum().cpu()
        pairs += len(boxes) * len(anchors)
    if not pairs:
        raise UserError('simd_norms: found no pair of an object and a prior, expected one at least')
    m, n = (total / pairs).tolist()
    return m, n
