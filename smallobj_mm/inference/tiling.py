# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Cutting a large image into overlapping tiles of one size."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from smallobj_mm.utils.errors import UserError


class Tile(NamedTuple):
    """A part of an image, in pixels of the image; ``right`` and ``bottom`` are outside."""

    left: int
    top: int
    right: int
    bottom: int

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The part of an image (H, W, ...), without a copy."""
        return image[self.top : self.bottom, self.left : self.right]


class TileGrid:
    """Tiles that cover an image, all of one size, spread evenly.

    Args:
        height: Of the image, px.
        width: Of the image, px.
        tile: Side of a tile, px; None for one tile as large as the image.
        overlap: Least overlap of neighbors as a part of ``tile``.

    Raises:
        UserError: ``tile`` is no positive whole number, or ``overlap`` not in [0, 0.9].
    """

    def __init__(self, height: int, width: int, tile: int | None, overlap: float = 0.2) -> None:
        check_tiling(tile, overlap)
        tile = None if tile is None else int(tile)  # 640.0 is a whole number as well
        self.height, self.width = height, width
        self._spans = [
            _spans(length, min(tile or length, length), overlap) for length in (height, width)
        ]
        self._weights = [_weights(spans, n) for spans, n in zip(self._spans, (height, width))]
        rows, columns = self._spans
        self.tiles = [
            Tile(left, top, right, bottom) for top, bottom in rows for left, right in columns
        ]

    def __len__(self) -> int:
        return len(self.tiles)

    def weight(self, index: int) -> np.ndarray:
        """How much each pixel of a tile counts, (h, w) float32.

        The weights fade towards borders that have a neighbor behind them, and add up to 1 at
        every pixel of the image.
        """
        row, column = divmod(index, len(self._spans[1]))
        return self._weights[0][row][:, None] * self._weights[1][column][None]

    def inner_borders(self, index: int) -> tuple[bool, bool, bool, bool]:
        """Which borders of a tile (left, top, right, bottom) lie inside the image."""
        tile = self.tiles[index]
        return tile.left > 0, tile.top > 0, tile.right < self.width, tile.bottom < self.height


def check_tiling(tile: int | None, overlap: float) -> None:
    """Refuse options that make no grid.

    Raises:
        UserError: See :class:`TileGrid`.
    """
    if tile is not None and (tile != int(tile) or tile < 1):
        raise UserError(f'tile is {tile}, expected the side of a tile in px, or None')
    if not 0 <= overlap <= 0.9:
        raise UserError(f'overlap is {overlap}, expected a part of the tile from 0 to 0.9')


def _spans(length: int, tile: int, overlap: float) -> list[tuple[int, int]]:
    """Starts and ends along one side: as few tiles as the overlap allows, evenly spread."""
    step = max(int(tile * (1 - overlap)), 1)
    number = math.ceil((length - tile) / step) + 1
    starts = np.linspace(0, length - tile, number).round().astype(int) if number > 1 else [0]
    return [(int(start), int(start) + tile) for start in starts]


def _weights(spans: list[tuple[int, int]], length: int) -> list[np.ndarray]:
    """Weights along one side: ramps across the overlaps, divided by their sum."""
    ramps = []
    for index, (start, end) in enumerate(spans):
        position = np.arange(end - start, dtype=np.float64) + 0.5
        ramp: np.ndarray = np.ones(end - start)
        if index:
            shared = max(spans[index - 1][1] - start, 1)
            ramp = np.minimum(ramp, position / shared)
        if index + 1 < len(spans):
            shared = max(end - spans[index + 1][0], 1)
            ramp = np.minimum(ramp, position[::-1] / shared)
        ramps.append(ramp)
    total = np.zeros(length)
    for (start, end), ramp in zip(spans, ramps):
        total[start:end] += ramp
    return [
        (ramp / total[start:end]).astype(np.float32) for (start, end), ramp in zip(spans, ramps)
    ]
