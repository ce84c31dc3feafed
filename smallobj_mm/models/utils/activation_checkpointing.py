# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Activations that are computed again in the backward pass instead of being kept."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


@contextmanager
def _running_statistics_kept(module: nn.Module) -> Iterator[None]:
    """Batch norms normalize by the batch as before, and leave their running statistics alone."""
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    counters = [n.num_batches_tracked for n in norms if n.num_batches_tracked is not None]
    counts = [counter.clone() for counter in counters]
    for norm in norms:
        norm.momentum = 0.0  # of the batch, in the running statistics
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
        for counter, count in zip(counters, counts):
            counter.copy_(count)


def run_checkpointed(module: nn.Module, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """``function(*inputs)``, whose activations are computed again in the backward pass.

    The second computation does not update the running statistics of batch norms once more, as it
    would with the plain ``torch.utils.checkpoint``.

    Args:
        module: Holds every batch norm that ``function`` runs.
        function: From tensors to a tensor.
        inputs: Its arguments.
    """
    return checkpoint(
        function,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _running_statistics_kept(module)),
    )
