# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The records of views against what their pixels say, in any order of crops, flips and turns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('mmpretrain')

from smallobj_mm.datasets.transforms import view_ops  # noqa: E402
from smallobj_mm.datasets.transforms import views as v  # noqa: E402
from smallobj_mm.datasets.transforms.view_differences import (  # noqa: E402
    difference,
    new_record,
)

WIDTH, HEIGHT, SIDE = 330, 240, 150
MOVES = dict(
    crop=v.RecordedCrop(size=SIDE, scale=(0.3, 1.0)),
    flip=v.RecordedFlip(prob=1),
    turn=v.RecordedRotation(prob=1),
)


def positions():
    """An image whose channels are x and y of the pixel, in fractions of the image."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return np.stack([(columns + 0.5) / WIDTH, (rows + 0.5) / HEIGHT, rows * 0], axis=2)


def make_view(moves):
    """Image and record after the moves."""
    results = dict(img=positions(), view_record=new_record())
    for name in moves:
        results = MOVES[name](results)
    return results['img'], results['view_record']


def read_off(img):
    """Center (x, y), and the change of x and y (columns) across and down the view (rows)."""
    half = [side // 2 for side in img.shape[:2]]
    across = img[:, -half[1] :].mean((0, 1)) - img[:, : half[1]].mean((0, 1))
    down = img[-half[0] :].mean((0, 1)) - img[: half[0]].mean((0, 1))
    return img.mean((0, 1))[:2], 2 * np.stack([across[:2], down[:2]])


ORDERS = st.lists(st.sampled_from(list(MOVES)), max_size=5)


@settings(deadline=None, max_examples=60)
@given(ORDERS, st.integers(0, 2**32 - 1))
def test_record_says_what_the_pixels_say(moves, seed):
    np.random.seed(seed)
    img, record = make_view(moves)
    center, change = read_off(img)
    assert np.allclose(record['crop'][:2], center, atol=0.01)
    assert np.allclose(record['axes'] * record['crop'][2:], change, atol=0.015)
    # The flip comes before the turns in what the records mean, whatever the order was.
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    turned = np.linalg.matrix_power(quarter, record['rotation'])
    assert np.array_equal(record['axes'], turned @ np.diag([1 - 2 * record['flip'], 1.0]))


@settings(deadline=None, max_examples=40)
@given(ORDERS, ORDERS, st.integers(0, 2**32 - 1))
def test_difference_is_that_of_the_pixels(one, other, seed):
    np.random.seed(seed)
    (img1, first), (img2, second) = make_view(one), make_view(other)
    (center1, change1), (center2, change2) = read_off(img1), read_off(img2)
    frame = np.round(change1 / np.abs(change1).sum(axis=0))
    sizes = np.abs(change1).sum(axis=0) - np.abs(change2).sum(axis=0)
    expected = np.concatenate([frame @ (center1 - center2), np.abs(frame) @ sizes])
    assert np.allclose(difference('crop', first, second), expected, atol=0.03)


@pytest.mark.parametrize('flipped', [False, True])
def test_the_usual_order_is_recorded_to_the_bit(flipped, monkeypatch):
    """A crop of the source itself: its box over the source's sides, not rounded once more."""
    for box in ((7, 3, 101, 99), (0, 0, 330, 240), (229, 141, 101, 99), (13, 1, 299, 239)):
        monkeypatch.setattr(view_ops, 'draw_crop', lambda *args, box=box: box)
        _, record = make_view(['crop', 'flip'] if flipped else ['crop'])
        x, y, w, h = box
        expected = [(x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT]
        assert np.array_equal(record['crop'], expected)
