# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time and work of models, as ratios against a baseline measured in the same run."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

#: Side of the matrices of the baseline product, and its floating point operations.
MATMUL_SIDE = 2048
MATMUL_WORK = 2 * MATMUL_SIDE**3

T = TypeVar('T')


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


def training_step(model: nn.Module, inputs: Tensor) -> None:
    """Forward and backward pass of the network, batch norms in training mode.

    Loss and optimizer are left out: the mean square of all outputs stands for the loss.

    Args:
        model: A model that takes ``mode='tensor'``, in training mode.
        inputs: Batch ``(N, C, H, W)`` as the network takes it.
    """
    outs = _tensors(model(inputs, mode='tensor'))
    torch.stack([out.square().mean() for out in outs]).sum().backward()
    model.zero_grad(set_to_none=True)


def _tensors(outs: Tensor | Sequence) -> list[Tensor]:
    if isinstance(outs, Tensor):
        return [outs]
    return [tensor for out in outs for tensor in _tensors(out)]


def peak_memory(call: Callable[[], object], device: torch.device | str = 'cpu') -> int:
    """Bytes that a call needs at most on top of what is held before.

    On the CPU it is the process's largest resident size during the call over that before it.
    Systems other than Linux give the growth of the largest size so far: measure what needs most
    there, or measure in a fresh process.

    Args:
        call: What is measured.
        device: Where it runs.
    """
    if torch.device(device).type == 'cuda':
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    reset = _reset_largest_resident()
    before = _status('VmRSS') if reset else _largest_resident()
    call()
    return max((_status('VmHWM') if reset else _largest_resident()) - before, 0)


def _reset_largest_resident() -> bool:
    """Let Linux count the largest resident size anew; whether it does.

    What the allocator keeps of freed memory goes back before: a call that takes it again would
    seem to need nothing.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # of glibc only
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path('/proc/self/clear_refs').write_text('5')
        return _status('VmHWM') > 0
    except (OSError, StopIteration):
        return False


def _status(key: str) -> int:
    """A size, in bytes, of what Linux says about this process."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f'{key}:')).split()[1]) * 1024


def _largest_resident() -> int:
    import resource  # there is none on Windows

    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def compare(
    subjects: Sequence[tuple[Callable[[], object], int]],
    device: torch.device | str = 'cpu',
    rounds: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[float, list[Timing]]:
    """Time subjects in turns with a matrix product, so that all meet the same neighbors.

    Args:
        subjects: Calls and the floating point operations of each.
        device: Where the calls run.
        rounds: Number of turns; one more is made first and not counted.
        progress: Called with the number of turns done and in all.

    Returns:
        The median rate of the fp32 product of two square matrices of side 2048 (floating point
        operations a second), and the timing of each subject.
    """
    product = matrix_product(device)
    calls = {'product': timed(product, device)}
    for index, (call, _) in enumerate(subjects):
        # Beside each subject one more: what disturbs the machine disturbs both.
        calls[f'product {index}'] = calls['product']
        calls[f'subject {index}'] = timed(call, device)
    times = in_turns(calls, rounds, progress=progress)
    best, timings = times['product'], []
    for index, (_, flops) in enumerate(subjects):
        best = list(map(min, best, times[f'product {index}']))
        took = times[f'subject {index}']
        ratios = [flops / own / (MATMUL_WORK / baseline) for own, baseline in zip(took, best)]
        median = statistics.median(took)
        timings.append(Timing(median, flops / median, statistics.median(ratios)))
    return statistics.median(MATMUL_WORK / baseline for baseline in best), timings


def in_turns(
    measures: Mapping[str, Callable[[int], T]],
    rounds: int,
    warmup: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[T]]:
    """Measure subjects in turns, so that all meet the same neighbors on the machine.

    Args:
        measures: What measures each, by name; called with the number of the turn, from 0.
        rounds: Turns that count.
        warmup: Turns before, which do not.
        progress: Called with the number of turns done and in all.

    Returns:
        What was measured in each turn that counts, by name.
    """
    values: dict[str, list[T]] = {name: [] for name in measures}
    for turn in range(warmup + rounds):
        for name, measure in measures.items():
            value = measure(turn)
            if turn >= warmup:
                values[name].append(value)
        if progress and turn >= warmup:
            progress(turn - warmup + 1, rounds)
    return values


def timed(call: Callable[[], object], device: torch.device | str = 'cpu') -> Callable[[int], float]:
    """What measures the seconds of a call for :func:`in_turns`."""

    def measure(turn: int) -> float:
        return seconds(call, device)

    return measure


def matrix_product(device: torch.device | str = 'cpu') -> Callable[[], object]:
    """The fp32 product of two square matrices of side 2048, for :func:`seconds`."""
    a = torch.randn(MATMUL_SIDE, MATMUL_SIDE, device=device)
    return lambda: a @ a


def seconds(call: Callable[[], object], device: torch.device | str = 'cpu') -> float:
    """What a call takes, with all that it has started on a device."""
    with Stopwatch(device) as watch:
        call()
    return watch.seconds


def clock(device: torch.device | str = 'cpu') -> Callable[[], float]:
    """A clock (s) that waits for all that was started on a device before it is read."""
    if torch.device(device).type != 'cuda':
        return time.perf_counter

    def synchronized() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return synchronized


class Stopwatch:
    """Time that is added up over all that runs between :meth:`start` and :meth:`stop`.

    Args:
        device: What was started there is waited for.

    Attributes:
        seconds: Time by the clock.
        processor: Time that the processor worked for this process, in all threads, s.

    Example:
        >>> with Stopwatch() as watch:
        ...     number = sum(range(1000))
        >>> watch.seconds > 0
        True
    """

    def __init__(self, device: torch.device | str = 'cpu') -> None:
        self.seconds = self.processor = 0.0
        self._clock = clock(device)

    def start(self) -> None:
        """Begin to count."""
        self._began = self._clock(), time.process_time()

    def stop(self) -> None:
        """Add the time since :meth:`start`."""
        self.seconds += self._clock() - self._began[0]
        self.processor += time.process_time() - self._began[1]

    def __enter__(self) -> Stopwatch:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
