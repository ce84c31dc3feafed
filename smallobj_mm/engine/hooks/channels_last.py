# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Training with weights and maps in channels-last memory."""

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from smallobj_mm.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Lays the model's weights out in channels-last memory before the run.

    Convolutions with such weights give maps of the same layout, so that nothing else has to
    change. Values stay what they are; on CPUs a training step takes a fifth to a quarter less
    time (see the README of the detector), on GPUs it pays with mixed precision.
    """

    priority = 'VERY_HIGH'  # before averages copy the model

    def before_run(self, runner: Runner) -> None:
        """Convert the model."""
        runner.model.to(memory_format=torch.channels_last)
        print_log('ChannelsLastHook: the model is in channels-last memory', logger='current')
