# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Parameter schedules."""

from .warmup import WarmupMomentum, WarmupOneCycleLR, warmup_length

__all__ = ['WarmupMomentum', 'WarmupOneCycleLR', 'warmup_length']
