# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Boxes that tiles of an image see, merged: each object once, none lost."""

import numpy as np
import pytest

from smallobj_mm.inference import box_merging
from smallobj_mm.inference.box_merging import Boxes, merge_boxes
from smallobj_mm.inference.tiling import TileGrid


def objects(rng, number, size, side):
    """Boxes of sides 4..size that keep 8 px between each other."""
    kept = np.zeros((0, 4))
    while len(kept) < number:
        extent = rng.integers(4, size + 1, 2)
        low = [rng.integers(0, s - e + 1) for s, e in zip(side, extent)]
        box = np.array([*low, *(low + extent)])
        far = (box[:2] - 8 >= kept[:, 2:]) | (box[2:] + 8 <= kept[:, :2])
        if far.any(axis=1).all():
            kept = np.concatenate([kept, box[None]])
    return kept


def seen(grid, truth, labels, rng, noise=0.0):
    """What a detector sees in each tile: what lies in it, cut off, a little wrong."""
    parts = []
    for left, top, right, bottom in grid.tiles:
        window = np.array([left, top, right, bottom])
        boxes = truth + rng.uniform(-noise, noise, truth.shape)
        boxes = np.concatenate(
            [np.maximum(boxes[:, :2], window[:2]), np.minimum(boxes[:, 2:], window[2:])], axis=1
        )
        inside = ((boxes[:, 2:] - boxes[:, :2]) >= 2).all(axis=1)
        whole = truth[:, 2:] - truth[:, :2]
        share = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0) / whole, axis=1)
        scores = np.clip(0.4 + 0.5 * share + rng.uniform(-0.05, 0.05, len(truth)), 0, 1)
        parts.append(
            Boxes(
                boxes[inside].astype(np.float32),
                scores[inside].astype(np.float32),
                labels[inside],
            )
        )
    return parts


def check(found, truth, labels, iou=0.5):
    """Each object once."""
    low = np.maximum(found.bboxes[:, None, :2], truth[None, :, :2])
    high = np.minimum(found.bboxes[:, None, 2:], truth[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    areas = [np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (found.bboxes, truth)]
    same = shared / (areas[0][:, None] + areas[1][None] - shared) > iou
    same &= found.labels[:, None] == labels[None]
    assert (same.sum(axis=0) == 1).all(), 'lost or twice'
    assert len(found.scores) == len(truth), 'more than there is'
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize('overlap', [0.0, 0.2, 0.5])
@pytest.mark.parametrize('size', [18, 120])
@pytest.mark.parametrize('seed', range(4))
def test_each_object_once(overlap, size, seed):
    """Objects smaller and larger than the overlap, across seams and corners; exact boxes."""
    rng = np.random.default_rng(seed)
    grid = TileGrid(400, 500, 100, overlap)
    truth = objects(rng, 60 if size < 100 else 9, size, (500, 400))
    labels = np.zeros(len(truth), dtype=np.int64)
    found = merge_boxes(grid, seen(grid, truth, labels, rng))
    # Without overlap a sliver of one pixel is seen by nobody.
    check(found, truth, labels, iou=0.9 if overlap else 0.5)


@pytest.mark.parametrize('seed', range(4))
def test_views_that_differ(seed):
    """Each tile sees the small objects somewhere else by up to 0.7 px on each side."""
    rng = np.random.default_rng(seed)
    grid = TileGrid(400, 500, 100, 0.25)
    truth = objects(rng, 70, 20, (500, 400))
    labels = rng.integers(0, 3, len(truth))
    check(merge_boxes(grid, seen(grid, truth, labels, rng, 0.7)), truth, labels, iou=0.4)


def test_neighbors_on_a_seam_stay_two():
    """Two objects of one class side by side in the overlap, seen by both tiles."""
    grid = TileGrid(100, 180, 100, 0.2)
    truth = np.array([[82, 40, 89, 50], [91, 40, 98, 50], [82, 52, 89, 60]], dtype=float)
    labels = np.zeros(3, dtype=np.int64)
    check(merge_boxes(grid, seen(grid, truth, labels, np.random.default_rng(0))), truth, labels)


def test_classes_do_not_suppress_each_other():
    grid = TileGrid(100, 180, 100, 0.2)
    box = np.array([[85, 40, 95, 50]], dtype=np.float32)
    parts = [Boxes(box, np.array([0.9], np.float32), np.array([c])) for c in (0, 1)]
    assert sorted(merge_boxes(grid, parts).labels) == [0, 1]


def test_boxes_of_one_tile_are_left_alone():
    """The detector's own suppression has the say: here it keeps two that overlap."""
    grid = TileGrid(100, 180, 100, 0.2)
    boxes = np.array([[85, 40, 95, 50], [86, 40, 96, 50]], dtype=np.float32)
    empty = Boxes.join([])
    parts = [Boxes(boxes, np.array([0.5, 0.9], np.float32), np.zeros(2, np.int64)), empty]
    merged = merge_boxes(grid, parts)
    assert len(merged.scores) == 2 and merged.scores[0] == np.float32(0.9)
    assert len(merge_boxes(grid, [empty, empty]).scores) == 0


def test_a_faint_box_does_not_replace_a_piece():
    """A large object is cut off by both tiles, and one of them has a faint box beside it."""
    grid = TileGrid(100, 180, 100, 0.2)
    left = np.array([[40, 30, 100, 60]], dtype=np.float32)
    right = np.array([[80, 30, 150, 60], [84, 30, 120, 60]], dtype=np.float32)
    zeros = np.zeros(2, np.int64)
    parts = [
        Boxes(left, np.array([0.8], np.float32), zeros[:1]),
        Boxes(right, np.array([0.9, 0.01], np.float32), zeros),
    ]
    merged = merge_boxes(grid, parts)
    np.testing.assert_array_equal(merged.bboxes[0], [40, 30, 150, 60])
    assert merged.scores[0] == np.float32(0.9)


def test_compares_what_is_near_only(monkeypatch):
    """Four times the tiles, about four times the pairs."""
    counts = []
    pairs = box_merging._pairs_nearby

    def counted(*arguments):
        found = pairs(*arguments)
        counts.append(found.shape[1])
        return found

    monkeypatch.setattr(box_merging, '_pairs_nearby', counted)
    totals = []
    for side in (400, 800):
        rng = np.random.default_rng(0)
        grid = TileGrid(side, side, 100, 0.2)
        low = rng.uniform(0, side - 10, (side * side // 200, 2))
        truth = np.concatenate([low, low + 10], axis=1)
        labels = np.zeros(len(truth), dtype=np.int64)
        counts.clear()
        merge_boxes(grid, seen(grid, truth, labels, rng))
        totals.append(sum(counts))
    assert 0 < totals[1] < 6 * totals[0]
