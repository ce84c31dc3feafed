# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""How long the backends take, measured in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import NamedTuple

from .timing import in_turns, timed


class Latency(NamedTuple):
    """What a backend takes.

    Attributes:
        milliseconds: Median time of a call.
        best: Shortest time of a call, ms.
        ratio: Median over the turns of its time over the first backend's of the turn.
    """

    milliseconds: float
    best: float
    ratio: float


def measure(
    calls: Mapping[str, Callable[[], object]], rounds: int = 20, warmup: int = 2
) -> dict[str, Latency]:
    """Time calls in turns, so that all meet the same neighbors on the machine.

    Args:
        calls: What is timed, by name; the first is what the others are compared with.
        rounds: Turns that count.
        warmup: Turns before, which do not.

    Returns:
        The times, by name.
    """
    turns = in_turns({name: timed(call) for name, call in calls.items()}, rounds, warmup)
    times = {name: [1e3 * took for took in values] for name, values in turns.items()}
    reference = next(iter(times.values()))
    return {
        name: Latency(
            statistics.median(took),
            min(took),
            statistics.median(own / baseline for own, baseline in zip(took, reference)),
        )
        for name, took in times.items()
    }


def latency_table(latencies: Mapping[str, Latency]) -> str:
    """One line a backend."""
    reference = next(iter(latencies))
    lines = [f'{"backend":<14}{"median ms":>11}{"best ms":>10}{"of " + reference:>14}']
    lines += [
        f'{name:<14}{row.milliseconds:>11.1f}{row.best:>10.1f}{row.ratio:>14.2f}'
        for name, row in latencies.items()
    ]
    return '\n'.join(lines)
