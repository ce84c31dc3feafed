# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Models that merge the predictions of several views of an image."""

from .probability_tta import ProbabilityTTAModel

__all__ = ['ProbabilityTTAModel']
