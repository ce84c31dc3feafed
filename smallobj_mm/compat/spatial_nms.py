# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Greedy NMS of many boxes on the CPU, which compares only boxes that lie near each other.

The compiled operators compare each kept box with all that follow. What follows from "the IoU of a
and b is greater than t" leaves few to compare:

* the sides of the smaller are at least t times those of the larger;
* along each axis they share at least t times the longer side, so that the left border of b is at
  most (1 - t) times the width of a to the right of that of a, or (1 - t) times the width of b to
  its left; the same for the upper borders.

So boxes are put in levels by powers of two of their longer side, each level in rows by its upper
borders, each row in the order of its left borders. A box meets a run of each row in its reach.
Whether a pair suppresses is then decided in single precision, operation by operation as in the
compiled operator; the bounds above have slack for its rounding.
"""

from typing import Dict, Iterator, NamedTuple, Tuple

import numpy as np

#: Relative and absolute slack of the bounds: thousands of times the rounding of an overlap.
SLACK = 1e-4
#: Boxes outside of these sizes and coordinates lose more than that to under- and overflow.
MIN_SIDE, MAX_COORDINATE = 1e-6, 1e9
#: Rows of a level, so that row and left border fit into one double.
MAX_ROWS = 1 << 20
#: Candidates whose neighbors are looked up together, at first and at most, and the number of pairs
#: to aim for. Few at first: where boxes lie in heaps, the first ones remove most of the others.
FIRST_BLOCK, MAX_BLOCK, PAIRS = 64, 4096, 1 << 20


class _Level(NamedTuple):
    """Boxes whose longer side is in [size / 2, size), by row and left border."""

    size: float
    cell: float  # height of a row
    rows: int
    keys: np.ndarray  # (M,) row * span + left border, ascending
    boxes: np.ndarray  # (M,) their indices


class _Neighbors:
    """Looks up the boxes that a box may suppress.

    Args:
        corners (np.ndarray): (4, N) x1, y1, x2, y2, float32.
        alive (np.ndarray): (N,) bool, those to look among.
        threshold (float): Of the IoU, not negative.
        offset (int): Added to widths and heights.
    """

    def __init__(
        self, corners: np.ndarray, alive: np.ndarray, threshold: float, offset: int
    ) -> None:
        self.count = int(alive.sum())
        x1, y1, x2, y2 = (corners[side].astype(np.float64) for side in range(4))
        self.width, self.height = x2 - x1 + offset, y2 - y1 + offset
        self.level = np.frexp(np.maximum(self.width, self.height))[1]
        self.least = min(threshold, 1.0) * (1 - SLACK) - SLACK  # what two sides share, of either
        self.shift = min(1 - self.least, 1.0)
        inside = np.flatnonzero(alive)
        self.left = self.top = 0.0
        self.span = 1.0
        self.levels: Dict[int, _Level] = {}
        if not len(inside):
            return
        self.left, self.top = x1[inside].min(), y1[inside].min()
        self.x, self.y = x1 - self.left, y1 - self.top
        self.span = self.x[inside].max() + 1
        for level in np.unique(self.level[inside]):
            members = inside[self.level[inside] == level]
            size = 2.0**level
            cell = max(self.shift * size / 2, (self.y[inside].max() + 1) / MAX_ROWS)
            row = np.floor(self.y[members] / cell)
            keys = row * self.span + self.x[members]
            order = keys.argsort()
            self.levels[int(level)] = _Level(
                size, cell, int(row.max()) + 1, keys[order], members[order]
            )

    def pairs(self, queries: np.ndarray) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        """Pairs (query, box) that include all in which the query suppresses the box."""
        for number, level in self.levels.items():
            # Longer sides below 2**a and from 2**(b - 1) on: their ratio is below 2**(a - b + 1).
            gap = np.abs(self.level[queries] - number)
            near = queries[2.0 ** (1 - gap) > self.least]
            if len(near):
                yield from self._runs(level, near)

    def _runs(self, level: _Level, queries: np.ndarray) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        back = self.shift * level.size + SLACK
        first = np.floor((self.y[queries] - back) / level.cell).clip(0, level.rows)
        low = self.y[queries] + self.shift * self.height[queries] + SLACK
        last = np.floor(low / level.cell).clip(-1, level.rows - 1)
        counts = (last - first + 1).clip(0).astype(np.intp)
        query = queries.repeat(counts)
        row = first.repeat(counts) + _ranges(counts)
        start = (self.x[query] - back).clip(0)
        stop = (self.x[query] + self.shift * self.width[query] + SLACK).clip(None, self.span)
        begin = level.keys.searchsorted(row * self.span + start, 'left')
        counts = level.keys.searchsorted(row * self.span + stop, 'right') - begin
        filled = counts > 0
        query, begin, counts = query[filled], begin[filled], counts[filled]
        # A part at a time: memory stays bounded however many boxes overlap.
        parts = np.searchsorted(counts.cumsum(), np.arange(0, counts.sum(), 4 * PAIRS))
        for low_part, high_part in zip(parts, [*parts[1:], len(counts)]):
            part = slice(low_part, high_part)
            boxes = level.boxes[begin[part].repeat(counts[part]) + _ranges(counts[part])]
            yield query[part].repeat(counts[part]), boxes


def _ranges(counts: np.ndarray) -> np.ndarray:
    """0 to count - 1 for each count, one after the other."""
    ends = counts.cumsum()
    return np.arange(ends[-1] if len(ends) else 0) - (ends - counts).repeat(counts)


def fits(corners: np.ndarray, threshold: float, offset: int) -> bool:
    """Whether the bounds hold for these boxes: common numbers and a threshold from 0 on.

    Args:
        corners (np.ndarray): (4, N) x1, y1, x2, y2, float32.
        threshold (float): Of the IoU.
        offset (int): Added to widths and heights.
    """
    if not (threshold >= 0 and np.isfinite(corners).all()):
        return False
    if np.abs(corners).max(initial=0) > MAX_COORDINATE:
        return False
    sides = corners[2:] - corners[:2] + np.float32(offset)
    return not ((sides > 0) & (sides < MIN_SIDE)).any()


def spatial_nms(corners: np.ndarray, threshold: float, offset: int) -> np.ndarray:
    """Greedy non-maximum suppression.

    Args:
        corners (np.ndarray): (4, N) x1, y1, x2, y2 in pixels, float32, best first, for which
            :func:`fits` is true.
        threshold (float): A box goes when its IoU with a kept one is greater than this.
        offset (int): Added to widths and heights, 0 or 1.

    Returns:
        np.ndarray: (N,) bool, the kept boxes.
    """
    extra = np.float32(offset)
    sides = corners[2:] - corners[:2] + extra
    areas = sides[0] * sides[1]
    # A box without width or height overlaps nothing: it stays, and removes nothing.
    alive = (sides > 0).all(axis=0)
    keep = ~alive
    waiting = np.flatnonzero(alive)
    neighbors = _Neighbors(corners, alive, threshold, offset)
    block = FIRST_BLOCK
    while len(waiting):
        if len(waiting) < neighbors.count / 2:
            neighbors = _Neighbors(corners, alive, threshold, offset)
        queries = waiting[:block]
        compared, edges = 0, []
        for query, box in neighbors.pairs(queries):
            compared += len(query)
            later = (box > query) & alive[box]
            query, box = query[later], box[later]
            a, b = corners[:, query], corners[:, box]
            zero = np.float32(0)
            width = np.maximum(np.minimum(a[2], b[2]) - np.maximum(a[0], b[0]) + extra, zero)
            height = np.maximum(np.minimum(a[3], b[3]) - np.maximum(a[1], b[1]) + extra, zero)
            inter = width * height
            overlap = inter / (areas[query] + areas[box] - inter)
            hit = overlap > np.float32(threshold)
            edges.append((query[hit], box[hit]))
        source, target = np.concatenate([np.stack(edge) for edge in edges], axis=1)
        kept = _greedy(queries, source, target)
        keep[kept] = True
        chosen = np.zeros_like(alive)
        chosen[kept] = True
        alive[target[chosen[source]]] = False
        alive[queries] = False
        waiting = waiting[alive[waiting]]
        if compared < PAIRS:
            block = min(2 * block, MAX_BLOCK)
        elif compared > 2 * PAIRS:
            block = max(block // 2, FIRST_BLOCK)
    return keep


def _greedy(queries: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Those of ``queries`` that no kept earlier one suppresses.

    Each round keeps what no undecided one suppresses and drops what the kept ones suppress. The
    first undecided one is always decided, so it ends; in practice after a few rounds.

    Args:
        queries (np.ndarray): (B,) indices, ascending.
        source (np.ndarray): (E,) index of the box that suppresses.
        target (np.ndarray): (E,) index of the later box that it suppresses; those behind the last
            query do not matter here.
    """
    inside = target <= queries[-1]
    source = queries.searchsorted(source[inside])
    target = queries.searchsorted(target[inside])
    undecided = np.ones(len(queries), dtype=bool)
    keep = np.zeros(len(queries), dtype=bool)
    while len(source):
        free = undecided.copy()
        free[target] = False
        keep |= free
        undecided &= ~free
        undecided[target[free[source]]] = False
        left = undecided[source] & undecided[target]
        source, target = source[left], target[left]
    return queries[keep | undecided]
