# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np

from smallobj_mm.visualization import class_colors, draw_sample
from smallobj_mm.visualization.sample_drawing import IGNORE_COLOR

NONE = np.zeros((0, 4))


def test_frames_lie_around_the_object():
    img = np.full((20, 30, 3), 7, np.uint8)
    drawn = draw_sample(img, np.array([[5, 6, 9, 10]]), np.array([1]), NONE, ['a', 'b'])
    color = class_colors(2)[1]
    assert (img == 7).all()
    assert (drawn[6:10, 5:9] == 7).all()
    for pixel in (drawn[5, 4], drawn[10, 9], drawn[5, 7], drawn[8, 9]):
        np.testing.assert_array_equal(pixel, color)
    assert (drawn[:4] == 7).all() and (drawn[11:20] == 7).all()


def test_ignore_regions_are_hatched():
    img = np.zeros((40, 40, 1), np.uint8)
    drawn = draw_sample(img, NONE, np.zeros(0, int), np.array([[8, 8, 48, 24]]), ['a'])
    inside = (drawn[8:24, 8:40] == IGNORE_COLOR).all(axis=2)
    assert 0.1 < inside.mean() < 0.3


def test_zoom_and_legend():
    img = np.random.default_rng(0).integers(0, 255, (10, 100, 3), dtype=np.uint8)
    drawn = draw_sample(img, NONE, np.zeros(0, int), NONE, ['a'], zoom=3)
    np.testing.assert_array_equal(drawn[:30:3, ::3], img)
    assert drawn.shape[1] == 300 and drawn.shape[0] > 30
    assert drawn[30:].max() > 100  # the words
    many = [f'a long name {index}' for index in range(8)]
    boxes, labels = np.tile([1, 1, 4, 4], (8, 1)), np.arange(8)
    assert len(draw_sample(img, boxes, labels, NONE, many)) > 100
