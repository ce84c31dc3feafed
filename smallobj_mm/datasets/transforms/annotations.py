# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The boxes of a pipeline sample as plain arrays, and the one rule that clips and drops them.

Transforms of this package read a sample's boxes, labels and ignore flags through
:class:`Annotations`, so that the three always stay aligned, and write them back in the container
they came in (mmdet ``HorizontalBoxes`` or a NumPy array).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes

from smallobj_mm.utils.errors import UserError


@dataclass
class Annotations:
    """Boxes of one image.

    Attributes:
        boxes: Array (n, 4) float32, x1 y1 x2 y2 in pixels; pixel i covers [i, i + 1).
        labels: Array (n,) int64, class indices.
        ignore: Array (n,) bool, true for regions that are neither object nor background.
    """

    boxes: np.ndarray
    labels: np.ndarray
    ignore: np.ndarray

    @classmethod
    def read(cls, results: dict, user: str) -> Annotations:
        """Copy the annotations out of a pipeline sample.

        Args:
            results: The sample, with ``gt_bboxes`` and ``gt_bboxes_labels``;
                ``gt_ignore_flags`` counts as all false where it is missing.
            user: Name of the transform that asks, for the error message.

        Returns:
            The sample's annotations; changing them does not change the sample.

        Raises:
            UserError: If the sample has no boxes or no labels.
            NotImplementedError: If the sample has masks, which would not follow the boxes.
            UserError: If the numbers of boxes, labels and flags differ.
        """
        where = results.get('img_path', 'a sample without img_path')
        for key in ('gt_bboxes', 'gt_bboxes_labels'):
            if key not in results:
                raise UserError(
                    f"{user}: {where} has no '{key}': put LoadAnnotations(with_bbox=True) into "
                    'the pipeline of the wrapped data set'
                )
        for key in ('gt_masks', 'gt_seg_map'):
            if key in results:
                raise UserError(
                    f"{user}: {where} has '{key}', but only boxes are transformed here: load "
                    "without masks or take mmdet's own transforms"
                )
        boxes = results['gt_bboxes']
        if isinstance(boxes, BaseBoxes):
            boxes = boxes.convert_to('hbox').numpy()
        boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
        labels = np.array(results['gt_bboxes_labels'], dtype=np.int64).reshape(-1)
        ignore = results.get('gt_ignore_flags')
        if ignore is None:
            ignore = np.zeros(len(boxes), dtype=bool)
        ignore = np.array(ignore, dtype=bool).reshape(-1)
        if not len(boxes) == len(labels) == len(ignore):
            raise UserError(
                f'{user}: {where} has {len(boxes)} boxes, {len(labels)} labels and '
                f'{len(ignore)} ignore flags: expected as many of each'
            )
        return cls(boxes, labels, ignore)

    @classmethod
    def concatenate(cls, parts: Sequence[Annotations]) -> Annotations:
        """Join the annotations of several images, in their order."""
        return cls(
            np.concatenate([part.boxes for part in parts], axis=0),
            np.concatenate([part.labels for part in parts], axis=0),
            np.concatenate([part.ignore for part in parts], axis=0),
        )

    def select(self, keep: np.ndarray) -> Annotations:
        """Keep the rows where the (n,) bool array ``keep`` is true."""
        return Annotations(self.boxes[keep], self.labels[keep], self.ignore[keep])

    def write(self, results: dict) -> None:
        """Put the annotations into the sample, boxes in the container that it has now."""
        boxed = isinstance(results.get('gt_bboxes'), BaseBoxes)
        results['gt_bboxes'] = HorizontalBoxes(self.boxes, clone=False) if boxed else self.boxes
        results['gt_bboxes_labels'] = self.labels
        results['gt_ignore_flags'] = self.ignore


def size_filter(boxes: np.ndarray, min_size: float, max_aspect: float) -> np.ndarray:
    """Say which boxes are large and compact enough to be learnt from.

    Args:
        boxes: Array (n, 4), x1 y1 x2 y2 in pixels.
        min_size: Width and height have to be above this, in pixels.
        max_aspect: The longer side over the shorter one has to be below this.

    Returns:
        Bool array (n,).
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    shorter = sides.min(axis=1)
    longer = sides.max(axis=1)
    return (shorter > min_size) & (shorter > longer / max_aspect)


def clip_and_drop(
    annotations: Annotations,
    width: int,
    height: int,
    min_size: float = 0.0,
    max_aspect: float = np.inf,
    min_area_ratio: float = 0.0,
) -> Annotations:
    """Clip boxes to an image and drop objects of which too little is left.

    Ignore regions are dropped only when nothing of them is left: what remains of one is still
    neither object nor background.

    Args:
        annotations: Boxes, possibly beyond the image.
        width: Image width in pixels.
        height: Image height in pixels.
        min_size: Objects whose width or height is not above this (pixels) are dropped.
        max_aspect: Objects at least this elongated are dropped.
        min_area_ratio: Objects that keep no more than this part of their area are dropped.

    Returns:
        New annotations with boxes inside [0, width] x [0, height].
    """
    before = annotations.boxes
    limit = np.array([width, height, width, height], dtype=before.dtype)
    after = np.clip(before, 0, limit)
    sides = after[:, 2:] - after[:, :2]
    full = (before[:, 2] - before[:, 0]) * (before[:, 3] - before[:, 1])
    usable = size_filter(after, min_size, max_aspect)
    usable &= sides.prod(axis=1) > min_area_ratio * full
    keep = np.where(annotations.ignore, (sides > 0).all(axis=1), usable)
    return Annotations(after, annotations.labels, annotations.ignore).select(keep)
