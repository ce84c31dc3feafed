# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Optimizer wrappers: bfloat16 autocast on any device, and gradients summed instead of averaged."""

from contextlib import contextmanager
from typing import Iterator

import torch
from mmengine.dist import get_world_size
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner.amp import autocast
from torch import Tensor, nn

from smallobj_mm.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Mixed precision in bfloat16, without a gradient scaler, on the CPU as on CUDA.

    mmengine's ``AmpOptimWrapper`` refuses to work without an accelerator. bfloat16 has float32's
    range, so nothing needs scaling; weights, gradients and the optimizer's state stay float32, and
    checkpoints are those of a plain ``OptimWrapper``.

    Args:
        optimizer: The optimizer to wrap.
        accumulative_counts: Iterations whose gradients make one step.
        clip_grad: As in :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast of the training device to bfloat16, around the forward pass and the losses."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield

    def load_state_dict(self, state_dict: dict) -> None:
        """Load an optimizer state; a float16 run's loss scale has no meaning here."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != 'loss_scaler'})


class _SumGradients:
    """Mixin: the gradient of a step is the *sum* over its micro-batches and processes.

    mmengine averages over ``accumulative_counts`` and DDP over processes. A loss that is already
    multiplied by the batch size (the detector's, see its head) with a learning rate meant for the
    sum over a nominal batch of 64 images needs the sum, else 4 times 16 images would move the
    weights a quarter as far as 1 times 64.
    """

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Undo DDP's average; leave the accumulation a sum."""
        return loss * get_world_size()


@OPTIM_WRAPPERS.register_module()
class SumOptimWrapper(_SumGradients, OptimWrapper):
    """``OptimWrapper`` whose gradients are summed over micro-batches and processes."""


@OPTIM_WRAPPERS.register_module()
class SumAmpOptimWrapper(_SumGradients, AmpOptimWrapper):
    """``AmpOptimWrapper`` (CUDA) whose gradients are summed over micro-batches and processes."""


@OPTIM_WRAPPERS.register_module()
class SumBFloat16OptimWrapper(_SumGradients, BFloat16OptimWrapper):
    """``BFloat16OptimWrapper`` whose gradients are summed over micro-batches and processes."""
