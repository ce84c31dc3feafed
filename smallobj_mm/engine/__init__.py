# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Training: optimizers, schedules, hooks and the runner. Needs mmengine only."""

from . import hooks, optim, schedulers
from .optim.amp import enable_amp

__all__ = [
    'enable_amp',
    'hooks',
    'optim',
    'schedulers',
]
