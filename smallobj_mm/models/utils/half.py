# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Half precision for predictions."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from smallobj_mm.compat.mmengine_internals import cpu_computes_bfloat16


def use_half(model: nn.Module) -> nn.Module:
    """Let a detector or segmentor predict in half precision, on the device it is on.

    On CUDA that is float16, on the CPU bfloat16, where the processor computes in it (AVX512-BF16,
    AMX); one that does not is many times slower at it, and there the model stays as it is, with a
    message. Weights of convolutions and linear layers are
    kept in it, half as large; autocast chooses the type of everything else. What comes out of
    the heads is float32 again, so that boxes are decoded, suppressed and rescaled, and maps
    resized, in full: a coordinate of 1001 px is 1000 px in bfloat16.

    The model cannot be trained afterwards. Weights may be loaded before or after.

    Args:
        model: A model of mmdet or mmseg, or one that wraps it as ``module``; changed in place.

    Returns:
        The same model.
    """
    network = model
    while isinstance(inner := getattr(network, 'module', None), nn.Module):
        network = inner
    first = next(network.parameters(), torch.zeros(0))
    if first.device.type == 'cpu' and not cpu_computes_bfloat16():
        print_log(
            'half precision: this CPU does not compute in bfloat16 and would be many times slower '
            'with it; the model stays in float32',
            logger='current',
            level=logging.WARNING,
        )
        return model
    dtype = torch.float16 if first.device.type == 'cuda' else torch.bfloat16
    for module in network.modules():
        # Exact types of linear layers: some stand inside fused operations with other types.
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) or type(module) is nn.Linear:
            module.to(dtype)
        if hasattr(module, 'predict_by_feat'):
            module.forward = _full_outputs(module.forward)
    network.forward = _autocasting(network.forward, first.device.type, dtype)
    return model


def _autocasting(forward: Callable, device: str, dtype: torch.dtype) -> Callable:
    @functools.wraps(forward)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(device, dtype):
            return forward(*args, **kwargs)

    return wrapped


def _full_outputs(forward: Callable) -> Callable:
    @functools.wraps(forward)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return _float32(forward(*args, **kwargs))

    return wrapped


def _float32(value: Any) -> Any:
    """Tensors in lists and tuples in full precision."""
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        parts = map(_float32, value)
        return type(value)(*parts) if hasattr(value, '_fields') else type(value)(parts)
    return value
