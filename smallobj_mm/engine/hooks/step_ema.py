# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Exponential moving average over optimizer steps."""

from typing import Optional

from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from smallobj_mm.registry import HOOKS


@HOOKS.register_module()
class StepEMAHook(EMAHook):
    """``EMAHook`` that averages after optimizer steps, not after each batch.

    With gradient accumulation the stock hook averages the same weights ``accumulative_counts``
    times, which shortens the average by that factor. Without accumulation both are the same.
    Arguments are those of :class:`mmengine.hooks.EMAHook`.
    """

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Average if this iteration has ended with a step."""
        if runner.optim_wrapper.should_update():
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
