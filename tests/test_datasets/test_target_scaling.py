# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Scaling of masks: no target is lost, areas follow the scale."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.datasets.target_scaling import resize_image, resize_target_mask


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**31 - 1),
    height=st.integers(4, 60),
    width=st.integers(4, 60),
    count=st.integers(0, 6),
    factors=st.tuples(st.floats(0.25, 3), st.floats(0.25, 3)),
)
def test_no_target_vanishes(seed, height, width, count, factors):
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(count):
        row, column = rng.integers(height), rng.integers(width)
        mask[row : row + rng.integers(1, 4), column : column + rng.integers(1, 4)] = 1
    mask[rng.random((height, width)) < 0.02] = 255
    size = (max(round(height * factors[0]), 1), max(round(width * factors[1]), 1))
    scaled = resize_target_mask(mask, size)
    assert scaled.shape == size and scaled.dtype == np.uint8
    assert set(np.unique(scaled)) <= {0, 1, 255}
    assert (scaled == 1).any() == (mask == 1).any()
    total, labels = cv2.connectedComponents((mask == 1).view(np.uint8), connectivity=8)
    for label in range(1, total):
        rows, columns = np.nonzero(labels == label)
        y = slice(
            int(rows.min() * size[0] / height), int(np.ceil((rows.max() + 1) * size[0] / height))
        )
        x = slice(
            int(columns.min() * size[1] / width),
            int(np.ceil((columns.max() + 1) * size[1] / width)),
        )
        assert (scaled[y, x] == 1).any()


@pytest.mark.parametrize('factor', [0.5, 0.7, 1.6, 2])
def test_areas_follow_the_scale(factor):
    mask = np.zeros((80, 80), np.uint8)
    cv2.circle(mask, (40, 37), 8, 1, -1)
    side = round(80 * factor)
    scaled = resize_target_mask(mask, (side, side))
    assert scaled.sum() == pytest.approx(mask.sum() * factor**2, rel=0.07)
    center = np.argwhere(scaled).mean(axis=0) + 0.5
    assert center == pytest.approx(np.array([37.5, 40.5]) * factor, abs=0.3)


def test_the_same_size_is_the_same_array():
    mask, img = np.zeros((5, 6), np.uint8), np.zeros((5, 6, 1), np.uint8)
    assert resize_target_mask(mask, (5, 6)) is mask and resize_image(img, (5, 6)) is img
    assert resize_image(img, (10, 3)).shape == (10, 3, 1)
