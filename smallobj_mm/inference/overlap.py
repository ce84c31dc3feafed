# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Reading ahead and writing behind: decoding and encoding go on while the network runs."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np

from .result import Result
from .sources import Source

#: Pixels of an image from which on no other one is read ahead: memory stays that of one image.
MOST_PIXELS = 1 << 24


def read_ahead(
    sources: Iterable[Source], read: Callable[[Source], np.ndarray], depth: int
) -> Iterator[tuple[Source, Future]]:
    """Images in their order, of which the next ones are read by a thread already.

    Args:
        sources: The images.
        read: Reads one; called by one thread, in the order of the sources.
        depth: Most images that are read before they are asked for; none after an image of more
            than :data:`MOST_PIXELS`.

    Yields:
        A source, and the future of its image or error.
    """
    waiting: deque[tuple[Source, Future]] = deque()
    iterator = iter(sources)
    ahead = 0  # until the first image shows how large they are
    with ThreadPoolExecutor(1, thread_name_prefix='read_ahead') as pool:
        try:
            while True:
                for source in itertools.islice(iterator, max(ahead + 1 - len(waiting), 0)):
                    waiting.append((source, pool.submit(read, source)))
                if not waiting:
                    return
                source, future = waiting.popleft()
                ahead = 0 if _is_large(future) else depth
                for following in itertools.islice(iterator, max(ahead - len(waiting), 0)):
                    waiting.append((following, pool.submit(read, following)))
                yield source, future
                del future  # of the image nothing is kept
        finally:
            for _, future in waiting:
                future.cancel()


def _is_large(future: Future) -> bool:
    """Whether an image, once it is read, is so large that no other is kept beside it."""
    if future.exception() is not None:
        return False
    height, width = future.result().shape[:2]
    return height * width > MOST_PIXELS


def _has_many_pixels(result: Result) -> bool:
    return result.sample is not None and math.prod(result.sample.ori_shape) > MOST_PIXELS


class WriteBehind:
    """Calls a function in a thread, in order; an error comes out at the next call or at the end.

    Args:
        function: What is called.
        depth: Most calls that wait; none of the result of an image of more than
            :data:`MOST_PIXELS`, which is done when the call returns.

    Example:
        >>> with WriteBehind(results.add) as add:  # doctest: +SKIP
        ...     for result in inferencer.stream(sources):
        ...         add(result)
    """

    def __init__(self, function: Callable[..., Any], depth: int = 4) -> None:
        self._function = function
        self._depth = depth
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='write_behind')
        self._waiting: deque[Future] = deque()

    def __call__(self, *arguments: Any) -> None:
        """Call the function later.

        Raises:
            BaseException: What an earlier call raised.
        """
        while self._waiting and (len(self._waiting) >= self._depth or self._waiting[0].done()):
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._function, *arguments))
        if any(isinstance(one, Result) and _has_many_pixels(one) for one in arguments):
            while self._waiting:
                self._waiting.popleft().result()

    def __enter__(self) -> WriteBehind:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            while self._waiting and error is None:
                self._waiting.popleft().result()
        finally:
            for future in self._waiting:
                # After an error of the caller, what is under way ends and the rest is left.
                future.cancel()
            self._pool.shutdown(wait=True)
