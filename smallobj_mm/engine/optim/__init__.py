# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Optimizer wrappers, their parameter groups and mixed precision."""

from .amp import enable_amp
from .constructor import DecayGroupsOptimWrapperConstructor, decay_groups
from .wrappers import (
    BFloat16OptimWrapper,
    SumAmpOptimWrapper,
    SumBFloat16OptimWrapper,
    SumOptimWrapper,
)

__all__ = [
    'BFloat16OptimWrapper',
    'DecayGroupsOptimWrapperConstructor',
    'SumAmpOptimWrapper',
    'SumBFloat16OptimWrapper',
    'SumOptimWrapper',
    'decay_groups',
    'enable_amp',
]
