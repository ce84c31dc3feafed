# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Hooks of the training loop."""

from smallobj_mm.compat.frameworks import has_framework

from .channels_last import ChannelsLastHook
from .feature_spread import FeatureSpreadHook
from .fixed_lr import FixedLRHook
from .knn_accuracy import KNNAccuracyHook
from .nan_guard import NaNGuardHook
from .probability_maps import ProbabilityMapHook
from .random_state import RandomStateHook
from .safe_checkpoint import SafeCheckpointHook
from .step_ema import StepEMAHook
from .training_checks import TrainingChecksHook
from .weight_decay import BatchScaledWeightDecayHook

__all__ = [
    'BatchScaledWeightDecayHook',
    'ChannelsLastHook',
    'FeatureSpreadHook',
    'FixedLRHook',
    'KNNAccuracyHook',
    'NaNGuardHook',
    'ProbabilityMapHook',
    'RandomStateHook',
    'SafeCheckpointHook',
    'StepEMAHook',
    'TrainingChecksHook',
]

if has_framework('mmseg'):
    from .segmentation_pictures import SegPicturesHook

    __all__ += ['SegPicturesHook']
