# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Half precision for predictions."""

from __future__ import annotations

import logging
import threading
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

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
    heads = []
    for module in network.modules():
        # Exact types of linear layers: some stand inside fused operations with other types.
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) or type(module) is nn.Linear:
            module.to(dtype)
        if hasattr(module, 'predict_by_feat'):
            heads.append(module)
    for head in heads:
        for module in giving_modules(head):
            module.register_forward_hook(_full_outputs)
    _autocast(network, first.device.type, dtype)
    return model


def giving_modules(head: nn.Module) -> list[nn.Module]:
    """The modules whose calls give what a head's forward pass gives.

    mmdet calls a head, mmseg calls its method ``forward``, past the hooks: there the last of its
    parts is what is called (``raw_maps``: of an exported file).

    Args:
        head: A head with ``predict_by_feat``.
    """
    parts = [getattr(head, name, None) for name in ('head_module', 'conv_seg', 'raw_maps')]
    return [head, *(part for part in parts if isinstance(part, nn.Module))]


def _autocast(network: nn.Module, device: str, dtype: torch.dtype) -> list[RemovableHandle]:
    """Run the forward passes of a network under autocast, whether they end or raise."""
    entered = threading.local()  # autocast is the thread's own

    def enter(module: nn.Module, inputs: tuple) -> None:
        context = torch.autocast(device, dtype)
        context.__enter__()
        entered.contexts = [*getattr(entered, 'contexts', ()), context]

    def leave(module: nn.Module, inputs: tuple, outputs: Any) -> None:
        entered.contexts.pop().__exit__(None, None, None)

    return [
        network.register_forward_pre_hook(enter, prepend=True),
        network.register_forward_hook(leave, always_call=True),
    ]


def _full_outputs(module: nn.Module, inputs: tuple, outputs: Any) -> Any:
    return _float32(outputs)


def _float32(value: Any) -> Any:
    """Tensors in lists and tuples in full precision."""
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        parts = map(_float32, value)
        return type(value)(*parts) if hasattr(value, '_fields') else type(value)(parts)
    return value
