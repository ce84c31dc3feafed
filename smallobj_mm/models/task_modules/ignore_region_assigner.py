# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Regions to ignore for assigners that know none."""

from typing import Any

import torch
from mmdet.models.task_modules.assigners import AssignResult, BaseAssigner
from mmengine.structures import InstanceData
from torch import Tensor

from smallobj_mm.models.layers.types import ConfigType
from smallobj_mm.registry import TASK_UTILS
from smallobj_mm.utils.errors import UserError

#: What mmdet's samplers take as neither positive nor negative.
NEITHER = -1


@TASK_UTILS.register_module()
class IgnoreRegionAssigner(BaseAssigner):
    """Any assigner of mmdet, with priors inside ignore regions neither object nor background.

    ``DynamicSoftLabelAssigner``, ``TaskAlignedAssigner`` and others take ``gt_instances_ignore``
    and do not look at it, so that a network is taught that there is nothing in regions such as
    HIT-UAV's ``DontCare``, or where a crop has cut an object. Here priors whose center lies in
    such a region, and that no object claims, get the index -1::

        train_cfg=dict(assigner=dict(
            type='IgnoreRegionAssigner',
            assigner=dict(type='DynamicSoftLabelAssigner', topk=13)))

    Args:
        assigner: Config of the assigner that finds the objects of the priors.
        priors: 'points' where the priors are (x, y) with or without strides behind, as of RTMDet;
            'boxes' where they are (x1, y1, x2, y2).

    Raises:
        UserError: If ``priors`` is neither.
    """

    def __init__(self, assigner: ConfigType, priors: str = 'points') -> None:
        if priors not in ('points', 'boxes'):
            raise UserError(f"priors: found {priors!r}, expected 'points' or 'boxes'")
        self.assigner = TASK_UTILS.build(assigner)
        self.priors = priors

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs: Any,
    ) -> AssignResult:
        """Assign objects to priors.

        Args:
            pred_instances: ``priors`` (n, 2 or 4) and what the inner assigner takes.
            gt_instances: ``bboxes`` (k, 4) and ``labels`` (k,) of the objects.
            gt_instances_ignore: ``bboxes`` (m, 4) of the regions to ignore.
            **kwargs: For the inner assigner.

        Returns:
            The inner assigner's result; background priors in a region have the index -1.
        """
        result = self.assigner.assign(pred_instances, gt_instances, gt_instances_ignore, **kwargs)
        if gt_instances_ignore is None or not len(gt_instances_ignore):
            return result
        regions = gt_instances_ignore.bboxes
        inside = self._inside(pred_instances.priors, getattr(regions, 'tensor', regions))
        result.gt_inds[inside & (result.gt_inds == 0)] = NEITHER
        return result

    def _inside(self, priors: Tensor, regions: Tensor) -> Tensor:
        """Whether the center of each prior (n,) lies in any of the regions (m, 4)."""
        centers = priors[:, :2]
        if self.priors == 'boxes':
            centers = (priors[:, :2] + priors[:, 2:4]) / 2
        above = centers[:, None] >= regions[None, :, :2]
        below = centers[:, None] < regions[None, :, 2:]
        return torch.cat([above, below], dim=-1).all(dim=-1).any(dim=-1)
