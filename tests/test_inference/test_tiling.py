# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from smallobj_mm.inference.tiling import TileGrid

CASES = [
    (300, 400, 128, 0.2), (300, 400, 128, 0.0), (129, 128, 128, 0.2), (50, 700, 64, 0.5),
    (90, 90, 128, 0.2), (1, 5, 2, 0.9), (257, 300, 64, 0.9),
]  # fmt: skip


@pytest.mark.parametrize(('height', 'width', 'tile', 'overlap'), CASES)
def test_tiles_cover_the_image_and_weights_add_up(height, width, tile, overlap):
    grid = TileGrid(height, width, tile, overlap)
    total = np.zeros((height, width))
    for index, (left, top, right, bottom) in enumerate(grid.tiles):
        assert (bottom - top, right - left) == (min(tile, height), min(tile, width))
        assert 0 <= left and 0 <= top and right <= width and bottom <= height
        weight = grid.weight(index)
        assert weight.dtype == np.float32 and (weight > 0).all()
        total[top:bottom, left:right] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)
    for axis in (0, 1):
        starts = sorted({t[axis] for t in grid.tiles})
        side = grid.tiles[0][axis + 2] - grid.tiles[0][axis]
        # An overlap of one pixel less than asked for is what whole pixels cost.
        assert all(b - a <= side * (1 - overlap) + 1 for a, b in zip(starts, starts[1:]))


def test_weights_fade_inwards_only():
    grid = TileGrid(100, 180, 100, 0.2)
    assert len(grid) == 2
    left, right = grid.weight(0), grid.weight(1)
    assert (left[:, :80] == 1).all() and (right[:, 20:] == 1).all()
    assert (np.diff(left[0, 80:]) < 0).all() and left[0, -1] < 0.05
    assert grid.inner_borders(0) == (False, False, True, False)
    assert grid.inner_borders(1) == (True, False, False, False)


def test_no_more_tiles_than_needed():
    assert len(TileGrid(3000, 4000, 640, 0.2)) == 6 * 8
    assert len(TileGrid(3000, 4000, None)) == 1
    assert len(TileGrid(640, 640, 640)) == 1


@pytest.mark.parametrize(
    ('tile', 'overlap', 'words'),
    [(0, 0.2, 'tile is 0'), (-5, 0.2, 'tile is -5'), (1.5, 0.2, 'tile is 1.5'),
     (64, 1.0, 'overlap is 1'), (64, -0.1, 'overlap is -0.1')],
)  # fmt: skip
def test_options_out_of_range(tile, overlap, words):
    with pytest.raises(ValueError, match=words):
        TileGrid(100, 100, tile, overlap)
