# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Memory layout of the network."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from smallobj_mm.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Turns the weights to channels-last before the run; maps follow the weights they pass.

    Convolutions of CPUs and of tensor cores work in this layout, and without it each one sorts
    its input and output anew: a training step of the detector takes several times as long on the
    CPU. Results agree with the other layout up to the rounding of float32.
    """

    # Before the EMA copies the model.
    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Turn the weights of four dimensions; the others have only one layout."""
        runner.model.to(memory_format=torch.channels_last)
