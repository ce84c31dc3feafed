# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The last filter before a sample is packed."""

from __future__ import annotations

from mmcv.transforms import BaseTransform

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from .annotations import Annotations, size_filter


@TRANSFORMS.register_module()
class SmallBoxFilter(BaseTransform):
    """Drop objects that are too small or too elongated to be learnt from.

    Ignore regions stay whatever their size, and a sample that loses all of its objects stays as a
    background image: with small objects the empty images are part of the task. mmdet's
    ``FilterAnnotations`` treats ignore regions as objects and knows no aspect ratio.

    Source: the recipe of Liu et al., TL-OBSDM, The Visual Computer 2025.

    Required and modified keys: ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_ignore_flags`` (optional).

    Args:
        min_size: Width and height have to be above this, in pixels of the image as it is now.
        max_aspect: The longer side over the shorter one has to be below this.

    Raises:
        UserError: If ``min_size`` is negative or ``max_aspect`` not above 1.
    """

    def __init__(self, min_size: float = 2.0, max_aspect: float = 20.0) -> None:
        if min_size < 0 or max_aspect <= 1:
            raise UserError(
                f'SmallBoxFilter: min_size is {min_size} and max_aspect {max_aspect}, expected '
                'min_size >= 0 and max_aspect > 1'
            )
        self.min_size = min_size
        self.max_aspect = max_aspect

    def transform(self, results: dict) -> dict:
        """Filter the boxes.

        Args:
            results: The sample.

        Returns:
            The sample, never None.
        """
        annotations = Annotations.read(results, 'SmallBoxFilter')
        keep = annotations.ignore | size_filter(annotations.boxes, self.min_size, self.max_aspect)
        annotations.select(keep).write(results)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_size={self.min_size}, max_aspect={self.max_aspect})'
