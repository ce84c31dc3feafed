# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Training: optimizers, schedules, hooks and checkpoints. Needs mmengine only."""

from . import hooks, optim, schedulers
from .checkpoint import load_plain, use_safe_loader
from .optim.amp import enable_amp
from .sync_bn import disable_sync_bn_on_cpu

# Whoever trains with our components through other tools is safe as well.
use_safe_loader(refuse_others=False)

__all__ = [
    'disable_sync_bn_on_cpu',
    'enable_amp',
    'hooks',
    'load_plain',
    'optim',
    'schedulers',
    'use_safe_loader',
]
