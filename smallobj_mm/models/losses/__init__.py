# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Losses; those of boxes need mmdet."""

from smallobj_mm.compat.frameworks import has_framework

from .ciou import aligned_ciou
from .map_losses import MapBCELoss, ScaleAwareIoULoss, SoftIoULoss, target_edges

__all__ = ['MapBCELoss', 'ScaleAwareIoULoss', 'SoftIoULoss', 'aligned_ciou', 'target_edges']

if has_framework('mmdet'):
    from .wasserstein import BoxLossSum, NWDLoss, normalized_wasserstein

    __all__ += ['BoxLossSum', 'NWDLoss', 'normalized_wasserstein']
