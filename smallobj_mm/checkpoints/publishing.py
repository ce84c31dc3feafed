# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A model's weights alone, small enough to hand on."""

from collections.abc import Mapping

import torch
from torch import Tensor

from smallobj_mm.checkpoints.state_dict import state_dict_of
from smallobj_mm.utils.errors import UserError


def publishable(checkpoint: Mapping, source: str, half: bool = False) -> dict[str, Tensor]:
    """The weights of a training checkpoint without optimizer, averages and history.

    Args:
        checkpoint: What the file holds; with ``EMAHook`` its ``state_dict`` is the average.
        source: Name of the file, for messages.
        half: Matrices and kernels in half precision. Vectors (norms, biases, running statistics)
            stay as they are: they are few, and a variance may be outside half's range.

    Raises:
        UserError: If there is no state dict, a weight does not fit half precision, or is no plain
            tensor.
    """
    tensors = state_dict_of(checkpoint)
    if not tensors:
        raise UserError(f'{source}: no tensors found, expected a checkpoint with a state_dict')
    published = {}
    for name, tensor in tensors.items():
        if tensor.is_meta or tensor.is_quantized or tensor.layout != torch.strided:
            kind = 'meta' if tensor.is_meta else 'quantized' if tensor.is_quantized else 'sparse'
            raise UserError(
                f'{source}: {name} is a {kind} tensor, expected plain ones; publish the checkpoint '
                'of the training'
            )
        tensor = tensor.detach().cpu()
        if half and tensor.is_floating_point() and tensor.ndim > 1:
            smaller = tensor.to(torch.float16)
            if not torch.isfinite(smaller).all():
                raise UserError(
                    f'{source}: {name} holds {tensor.abs().max():.3g}, expected at most 65504 in '
                    'half precision; publish without --half'
                )
            tensor = smaller
        # Of weights that two layers share each gets its own: a file holds no references.
        published[name] = tensor.clone(memory_format=torch.contiguous_format)
    return published
