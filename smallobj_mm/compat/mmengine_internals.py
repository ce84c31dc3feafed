# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The private names of the stack that this package uses, all of them, each behind a function.

mmengine has no public name for these. Tested with onedl-mmengine 0.10.12 and PyTorch 2.13; a
release that renames one is mended here.
"""

from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.runner import Runner
from torch.utils.data import DataLoader

#: Base class of the parameter schedulers.
ParamScheduler = _ParamScheduler


def is_resuming(runner: Runner) -> bool:
    """Whether the checkpoint that a runner loads is one that training goes on from."""
    return bool(runner._resume)


def accumulative_counts(optim_wrapper: OptimWrapper) -> int:
    """Batches whose gradients an optimizer wrapper adds up before a step."""
    return optim_wrapper._accumulative_counts


def is_lazy_config(path: str) -> bool:
    """Whether a config is one of mmengine's new, purely Pythonic kind."""
    return Config._is_lazy_import(path)


def cpu_computes_bfloat16() -> bool:
    """Whether PyTorch's fast operators take bfloat16 on this CPU; without, it is many times slower.

    No public name tells: ``torch.cpu.is_bf16_supported`` and the like are true of any CPU.
    """
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def swaps_channels(preprocessor: Any) -> bool:
    """Whether a data preprocessor turns BGR into RGB, or the reverse."""
    return bool(preprocessor._channel_conversion)


def drop_workers(loader: DataLoader) -> None:
    """Let a loader with persistent workers start new ones in the next epoch.

    The documented switch cannot be turned after construction; without the iterator that it keeps,
    the loader starts new workers.
    """
    if loader.persistent_workers:
        loader._iterator = None
