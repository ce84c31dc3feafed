# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Learning rates that no schedule changes."""

from typing import Any, Optional

from mmengine.hooks import Hook
from mmengine.runner import Runner

from smallobj_mm.registry import HOOKS


@HOOKS.register_module()
class FixedLRHook(Hook):
    """Keep the first learning rate of parameter groups that have ``fix_lr=True``.

    As for SimSiam's predictors::

        optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'predictor': dict(fix_lr=True)}))

    mmpretrain's ``SimSiamHook`` sets a number of its own, which ``auto_scale_lr`` does not
    reach; here it is the rate that the group started with, scaled as all others.
    """

    priority = 'NORMAL'

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Optional[Any] = None
    ) -> None:
        """Undo what the schedules did."""
        for group in runner.optim_wrapper.optimizer.param_groups:
            if group.get('fix_lr', False):
                group['lr'] = group.setdefault('initial_lr', group['lr'])
