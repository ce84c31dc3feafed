# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Boxes of overlapping tiles as boxes of the image: what lies on a seam is there once.

A tile sees an object whole, or cut off by its border. What is seen whole by two tiles is found
twice, with boxes that hardly differ; what is cut off by a tile is a piece of the box that a
neighbor sees, or, if the object is larger than the overlap, of a box that no tile sees.
"""

from __future__ import annotations

from typing import NamedTuple, Sequence

import numpy as np

from .tiling import TileGrid

#: Boxes that end this near to a border of their tile (px) are cut off by it.
BORDER = 3.0
#: Boxes are grown by this (px) on each side before they are compared: two views of a target of
#: six pixels that differ by one would else have an IoU of one half.
SLACK = 1.0
#: IoU above which boxes of two tiles are the same object.
SAME = 0.5
#: Part of a cut box that lies in another box above which it is a piece of it.
PIECE = 0.6
#: What the score of a cut box is worth against that of a whole one.
CUT_WORTH = 0.3
#: IoU, along the seam, of two pieces that belong together.
SIDE_BY_SIDE = 0.5


class Boxes(NamedTuple):
    """Boxes of an image or of a tile.

    Attributes:
        bboxes: Array (n, 4) float32, x1, y1, x2, y2 in px.
        scores: Array (n,) float32.
        labels: Array (n,) int64.
    """

    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def take(self, index: np.ndarray) -> Boxes:
        """Some of them."""
        return Boxes(*(value[index] for value in self))

    @classmethod
    def join(cls, parts: Sequence[Boxes]) -> Boxes:
        """All of them."""
        empty = cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
        return cls(*(np.concatenate(values) for values in zip(empty, *parts)))


def merge_boxes(grid: TileGrid, parts: Sequence[Boxes]) -> Boxes:
    """The boxes of an image from those of its tiles.

    Pieces of an object that is larger than the overlap are joined; of boxes that show the same
    object the best is kept. Boxes of one tile are left as the detector's own suppression left
    them. Boxes are compared with those near by only, so that the time grows with the number of
    tiles.

    Args:
        grid: The tiles.
        parts: Boxes of each tile, in pixels of the image.

    Returns:
        The boxes, best first.
    """
    everything = Boxes.join(parts)
    origin = np.repeat(np.arange(len(parts)), [len(part.scores) for part in parts])
    if len(parts) > 1 and len(origin):
        borders = np.array(grid.tiles, dtype=np.float32)[origin]
        inner = np.array([grid.inner_borders(i) for i in range(len(grid))])[origin]
        cut = _cut(everything.bboxes, borders, inner)
        everything, origin, cut = _join_pieces(everything, origin, cut, borders, grid)
        keep = _suppress(everything, origin, np.logical_or.reduce(cut, axis=1), grid)
        everything = everything.take(keep)
    return everything.take(np.argsort(-everything.scores, kind='stable'))


def _cut(bboxes: np.ndarray, borders: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Which borders (n, 4) of its tile cut a box off."""
    outwards = np.array([-1, -1, 1, 1], dtype=np.float32)
    return inner & ((bboxes - borders) * outwards > -BORDER)


def _pairs_nearby(
    bboxes: np.ndarray, labels: np.ndarray, grid: TileGrid, among: np.ndarray
) -> np.ndarray:
    """Pairs (2, m) of boxes of one class that share a cell as large as the first tile.

    A pair that shares several cells is there once.

    Args:
        among: Indices of the boxes to look at.
    """
    tile = grid.tiles[0]
    side = np.array([tile.right - tile.left, tile.bottom - tile.top], dtype=np.float32)
    first = np.floor((bboxes[among, :2] - SLACK - BORDER) / side).astype(np.int64)
    last = np.floor((bboxes[among, 2:] + SLACK + BORDER) / side).astype(np.int64)
    spread = last - first + 1
    repeat = spread.prod(axis=1)
    index = np.repeat(among, repeat)
    number = np.arange(len(index)) - np.repeat(np.cumsum(repeat) - repeat, repeat)
    columns = np.repeat(spread[:, 0], repeat)
    x = np.repeat(first[:, 0], repeat) + number % columns
    y = np.repeat(first[:, 1], repeat) + number // columns
    _, group = np.unique(np.stack([x, y, labels[index]], axis=1), axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind='stable')
    starts = np.flatnonzero(np.diff(group.ravel()[order], prepend=-1))
    number = len(bboxes)
    keys = [np.zeros(0, dtype=np.int64)]
    for members in np.split(index[order], starts[1:]):
        boxes_a, boxes_b = np.triu_indices(len(members), 1)
        boxes_a, boxes_b = members[boxes_a], members[boxes_b]
        near = _intersection(bboxes[boxes_a] + _GROW, bboxes[boxes_b] + _GROW) > 0
        boxes_a, boxes_b = boxes_a[near], boxes_b[near]
        keys.append(np.minimum(boxes_a, boxes_b) * number + np.maximum(boxes_a, boxes_b))
    return np.stack(np.divmod(np.unique(np.concatenate(keys)), number))


_GROW = np.array([-1, -1, 1, 1], dtype=np.float32) * (SLACK + BORDER)


def _intersection(bboxes_a: np.ndarray, bboxes_b: np.ndarray) -> np.ndarray:
    """Areas (m,) that boxes (m, 4) share."""
    low = np.maximum(bboxes_a[:, :2], bboxes_b[:, :2])
    high = np.minimum(bboxes_a[:, 2:], bboxes_b[:, 2:])
    return np.maximum(high - low, 0).prod(axis=1)


def _area(bboxes: np.ndarray) -> np.ndarray:
    return np.maximum(bboxes[:, 2:] - bboxes[:, :2], 0).prod(axis=1)


def _join_pieces(
    boxes: Boxes, origin: np.ndarray, cut: np.ndarray, borders: np.ndarray, grid: TileGrid
) -> tuple[Boxes, np.ndarray, np.ndarray]:
    """Put pieces together that two tiles cut off on facing sides.

    The pieces of an object larger than the overlap both reach across all of it. For each tile and
    side a piece has one partner at most, the one that fits best in both directions.

    Returns:
        The boxes, their origins (below 0 for joined ones), and which borders cut them off.
    """
    among = np.flatnonzero(cut.any(axis=1))
    boxes_a, boxes_b = _pairs_nearby(boxes.bboxes, boxes.labels, grid, among)
    links = []
    open_sides = cut.copy()
    for axis in (0, 1):
        for a, b in ((boxes_a, boxes_b), (boxes_b, boxes_a)):  # a left of or above b
            fits = cut[a, axis + 2] & cut[b, axis] & (origin[a] != origin[b])
            # Neither sees an end of the object inside the overlap.
            fits &= boxes.bboxes[a, axis] < borders[b, axis] + BORDER
            fits &= boxes.bboxes[b, axis + 2] > borders[a, axis + 2] - BORDER
            fits &= boxes.bboxes[b, axis] - boxes.bboxes[a, axis + 2] < 2 * SLACK
            beside = _overlap_along(boxes.bboxes[a], boxes.bboxes[b], 1 - axis)
            fits &= beside > SIDE_BY_SIDE
            quality = beside * np.sqrt(boxes.scores[a] * boxes.scores[b])
            pairs = _mutual_best(a[fits], b[fits], origin, quality[fits])
            open_sides[pairs[0], axis + 2] = open_sides[pairs[1], axis] = False
            links.append(pairs)
    links = np.concatenate(links, axis=1)
    if not links.size:
        return boxes, origin, cut
    group = _connected(links, len(origin))
    linked = np.unique(links)
    roots, which = np.unique(group[linked], return_inverse=True)
    low = np.full((len(roots), 2), np.inf, dtype=np.float32)
    high = np.full((len(roots), 2), -np.inf, dtype=np.float32)
    score = np.zeros(len(roots), dtype=np.float32)
    np.minimum.at(low, which, boxes.bboxes[linked, :2])
    np.maximum.at(high, which, boxes.bboxes[linked, 2:])
    np.maximum.at(score, which, boxes.scores[linked])
    still_cut = np.zeros((len(roots), 4), dtype=bool)
    np.logical_or.at(still_cut, which, open_sides[linked])
    joined = Boxes(np.concatenate([low, high], axis=1), score, boxes.labels[roots])
    rest = np.setdiff1d(np.arange(len(origin)), linked)
    return (
        Boxes.join([boxes.take(rest), joined]),
        np.concatenate([origin[rest], -1 - np.arange(len(roots))]),
        np.concatenate([cut[rest], still_cut]),
    )


def _overlap_along(bboxes_a: np.ndarray, bboxes_b: np.ndarray, axis: int) -> np.ndarray:
    """IoU (m,) of the boxes' extents along an axis."""
    low, high = (
        (bboxes_a[:, axis], bboxes_b[:, axis]),
        (bboxes_a[:, axis + 2], bboxes_b[:, axis + 2]),
    )
    union = np.maximum(*high) - np.minimum(*low) + 2 * SLACK
    return np.maximum(np.minimum(*high) - np.maximum(*low) + 2 * SLACK, 0) / union


def _mutual_best(
    boxes_a: np.ndarray, boxes_b: np.ndarray, origin: np.ndarray, quality: np.ndarray
) -> np.ndarray:
    """The pairs (2, k) that are best for both: for a box of all that the partner's tile has."""
    best = np.ones(len(boxes_a), dtype=bool)
    for box, partner in ((boxes_a, boxes_b), (boxes_b, boxes_a)):
        order = np.lexsort((-quality, origin[partner], box))
        key = np.stack([box[order], origin[partner[order]]])
        first = np.ones(len(order), dtype=bool)
        first[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0)
        chosen = np.zeros(len(boxes_a), dtype=bool)
        chosen[order] = first
        best &= chosen
    return np.stack([boxes_a[best], boxes_b[best]])


def _connected(links: np.ndarray, number: int) -> np.ndarray:
    """The smallest index (n,) of the boxes that each is linked with."""
    group = np.arange(number)
    while True:
        before = group.copy()
        lowest = np.minimum(group[links[0]], group[links[1]])
        np.minimum.at(group, links[0], lowest)
        np.minimum.at(group, links[1], lowest)
        if (group == before).all():
            return group


def _suppress(boxes: Boxes, origin: np.ndarray, cut: np.ndarray, grid: TileGrid) -> np.ndarray:
    """Which boxes (n,) stay: greedy suppression among boxes of different tiles."""
    among = np.flatnonzero(_on_seams(boxes.bboxes, grid) | (origin < 0))
    boxes_a, boxes_b = _pairs_nearby(boxes.bboxes, boxes.labels, grid, among)
    strange = origin[boxes_a] != origin[boxes_b]
    boxes_a, boxes_b = boxes_a[strange], boxes_b[strange]
    grown = boxes.bboxes + np.array([-SLACK, -SLACK, SLACK, SLACK], dtype=np.float32)
    shared = _intersection(grown[boxes_a], grown[boxes_b])
    area = _area(grown)
    smaller = np.where(area[boxes_a] <= area[boxes_b], boxes_a, boxes_b)
    same = shared > SAME * (area[boxes_a] + area[boxes_b] - shared)
    same |= cut[smaller] & (shared > PIECE * area[smaller])
    boxes_a, boxes_b = boxes_a[same], boxes_b[same]
    rank = np.empty(len(cut), dtype=np.int64)
    worth = boxes.scores * np.where(cut, CUT_WORTH, 1.0)
    rank[np.argsort(-worth, kind='stable')] = np.arange(len(cut))
    better = np.where(rank[boxes_a] < rank[boxes_b], boxes_a, boxes_b)
    worse = boxes_a + boxes_b - better
    # As many rounds as the longest chain of boxes that suppress each other, not as boxes.
    gone = np.zeros(len(cut), dtype=bool)
    while len(better):
        waits = np.zeros(len(cut), dtype=bool)
        waits[worse] = True
        gone[worse[~waits[better]]] = True
        left = ~gone[worse] & ~gone[better]
        better, worse = better[left], worse[left]
    return ~gone


def _on_seams(bboxes: np.ndarray, grid: TileGrid) -> np.ndarray:
    """Which boxes (n,) may be seen by two tiles."""
    count = np.zeros((2, max(grid.height, grid.width) + 1), dtype=np.int64)
    for axis, length in enumerate((grid.width, grid.height)):
        spans = {(tile[axis], tile[axis + 2]) for tile in grid.tiles}
        for start, end in spans:
            # A border belongs to the seam, so that boxes that touch across it meet.
            count[axis, max(start - int(BORDER), 0) : min(end + int(BORDER), length)] += 1
    seam = np.cumsum(np.pad(count > 1, ((0, 0), (1, 0))), axis=1)
    result = np.zeros(len(bboxes), dtype=bool)
    for axis, length in enumerate((grid.width, grid.height)):
        low = np.clip(np.floor(bboxes[:, axis]).astype(np.int64), 0, length)
        high = np.clip(np.ceil(bboxes[:, axis + 2]).astype(np.int64), 0, length)
        result |= seam[axis, np.maximum(high, low)] > seam[axis, low]
    return result
