# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Assigners and box coders."""

from .anchor_ota_assigner import AnchorOTAAssigner
from .scaled_sigmoid_coder import ScaledSigmoidBBoxCoder

__all__ = ['AnchorOTAAssigner', 'ScaledSigmoidBBoxCoder']
