# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time and work of models, as ratios against a baseline measured in the same run."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

#: Side of the matrices of the baseline product.
MATMUL_SIDE = 2048


class Timing(NamedTuple):
    """What a subject took.

    Attributes:
        seconds: Median time of a call.
        rate: Floating point operations a second.
        ratio: Median over the rounds of the rate over that of the matrix product of the round.
    """

    seconds: float
    rate: float
    ratio: float


@torch.no_grad()
def count_flops(model: nn.Module, inputs: Tensor) -> int:
    """Floating point operations of a forward pass: two for each multiplication with addition.

    Convolutions and matrix products are counted, as is usual.

    Args:
        model: A model that takes ``mode='tensor'``, as every model of the OpenMMLab stack does.
        inputs: Batch ``(N, C, H, W)`` as the network takes it.
    """
    with FlopCounterMode(display=False) as counter:
        model(inputs, mode='tensor')
    return counter.get_total_flops()


def count_parameters(model: nn.Module) -> int:
    """Number of parameters."""
    return sum(p.numel() for p in model.parameters())


def compare(
    subjects: Sequence[tuple[Callable[[], object], int]],
    device: torch.device | str = 'cpu',
    rounds: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[float, list[Timing]]:
    """Time subjects in turns with a matrix product, so that all meet the same neighbours.

    Args:
        subjects: Calls and the floating point operations of each.
        device: Where the calls run.
        rounds: Number of turns; one more is made first and not counted.
        progress: Called with the number of turns done and in all.

    Returns:
        The median rate of the fp32 product of two square matrices of side 2048 (floating point
        operations a second), and the timing of each subject.
    """
    a = torch.randn(MATMUL_SIDE, MATMUL_SIDE, device=device)
    work = 2 * MATMUL_SIDE**3
    products: list[float] = []
    times: list[list[float]] = [[] for _ in subjects]
    ratios: list[list[float]] = [[] for _ in subjects]
    for turn in range(rounds + 1):
        product = _seconds(lambda: a @ a, device)
        for (call, flops), took, ratio in zip(subjects, times, ratios):
            before = _seconds(lambda: a @ a, device)
            seconds = _seconds(call, device)
            product = min(product, before)
            if turn:
                took.append(seconds)
                ratio.append(flops / seconds / (work / product))
        if turn:
            products.append(work / product)
            if progress:
                progress(turn, rounds)
    timings = [
        Timing(statistics.median(took), flops / statistics.median(took), statistics.median(ratio))
        for (_, flops), took, ratio in zip(subjects, times, ratios)
    ]
    return statistics.median(products), timings


def _seconds(call: Callable[[], object], device: torch.device | str) -> float:
    on_cuda = torch.device(device).type == 'cuda'
    if on_cuda:
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    call()
    if on_cuda:
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
