# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""How far a run is and how long it will still take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

#: Seconds between two lines on a terminal, and in a file.
_INTERVALS = (0.2, 15.0)


class Progress:
    """One line that is renewed on a terminal, lines now and then in a file.

    Args:
        total: Number of images.
        stream: Where it is written; stderr if None.
        clock: Seconds that only rise.
    """

    def __init__(
        self,
        total: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self.stream = sys.stderr if stream is None else stream
        self.terminal = self.stream.isatty()
        self.clock = clock
        self.start = self.last = clock()
        self._width = 0

    def update(self, done: float) -> None:
        """Say how many images are done; of an image in tiles it is a fraction."""
        now = self.clock()
        if done <= 0 or now - self.last < _INTERVALS[not self.terminal]:
            return
        self.last = now
        elapsed = now - self.start
        left = elapsed / done * max(self.total - done, 0)
        self._write(
            f'{int(done)} of {self.total} images ({100 * done / self.total:.0f} %), '
            f'{duration(elapsed)} passed, about {duration(left)} left'
        )

    def note(self, text: str) -> None:
        """Write a line that stays."""
        self._clear()
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """Take the line away."""
        self._clear()

    def _write(self, line: str) -> None:
        if self.terminal:
            print(f'\r{line:<{self._width}}', end='', file=self.stream, flush=True)
            self._width = len(line)
        else:
            print(line, file=self.stream, flush=True)

    def _clear(self) -> None:
        if self._width:
            print('\r' + ' ' * self._width + '\r', end='', file=self.stream, flush=True)
            self._width = 0


def duration(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{rest:02}' if hours else f'{minutes}:{rest:02}'
