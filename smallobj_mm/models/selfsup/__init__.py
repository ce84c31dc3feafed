# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Self-supervised pretraining of backbones; needs mmpretrain."""

from .augmentation_head import AugmentationAwareHead
from .detsim import DetSim
from .feature_distillation import FeatureDistillation
from .multi_stage import MultiStageProjector, MultiStageSimilarityHead

__all__ = [
    'AugmentationAwareHead',
    'DetSim',
    'FeatureDistillation',
    'MultiStageProjector',
    'MultiStageSimilarityHead',
]
