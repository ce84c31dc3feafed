# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Segmentation heads."""

from .interior_boundary_fusion_head import InteriorBoundaryFusionHead
from .interior_boundary_fusion_head_module import InteriorBoundaryFusionHeadModule
from .single_stream_head_module import SingleStreamHeadModule

__all__ = [
    'InteriorBoundaryFusionHead',
    'InteriorBoundaryFusionHeadModule',
    'SingleStreamHeadModule',
]
