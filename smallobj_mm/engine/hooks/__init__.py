# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Hooks of the training loop."""

from .nan_guard import NaNGuardHook
from .random_state import RandomStateHook
from .safe_checkpoint import SafeCheckpointHook
from .step_ema import StepEMAHook
from .weight_decay import BatchScaledWeightDecayHook

__all__ = [
    'BatchScaledWeightDecayHook',
    'NaNGuardHook',
    'RandomStateHook',
    'SafeCheckpointHook',
    'StepEMAHook',
]
