# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Losses."""

from .ciou import aligned_ciou
from .map_losses import MapBCELoss, SoftIoULoss

__all__ = ['MapBCELoss', 'SoftIoULoss', 'aligned_ciou']
