# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Assigners, overlap measures and box coders."""

from .anchor_ota_assigner import AnchorOTAAssigner
from .distance_overlaps import NWDOverlaps, SimDOverlaps, mean_object_size, simd_norms
from .ignore_region_assigner import IgnoreRegionAssigner
from .scaled_sigmoid_coder import ScaledSigmoidBBoxCoder

__all__ = [
    'AnchorOTAAssigner',
    'IgnoreRegionAssigner',
    'NWDOverlaps',
    'ScaledSigmoidBBoxCoder',
    'SimDOverlaps',
    'mean_object_size',
    'simd_norms',
]
