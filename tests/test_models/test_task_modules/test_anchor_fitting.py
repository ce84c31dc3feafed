# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.models.task_modules.anchor_fitting import (
    fit_anchors,
    fit_of_anchors,
    resized_sizes,
    split_over_levels,
)

SIDES = st.floats(1, 500)
SIZES = st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=20)


def ratio(box, anchor):
    (w, h), (a, b) = box, anchor
    return max(w / a, a / w, h / b, b / h)


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, st.floats(1.5, 6))
def test_measures_are_those_of_the_definition(boxes, anchors, limit):
    ratios = np.array([[ratio(box, anchor) for anchor in anchors] for box in boxes])
    if (np.abs(ratios - limit) < 1e-6).any():
        return
    fit = fit_of_anchors(np.array(boxes), np.array(anchors), limit)
    assert fit.recall == pytest.approx((ratios.min(axis=1) < limit).mean())
    assert fit.anchors_per_box == pytest.approx((ratios < limit).sum(axis=1).mean())
    assert fit.similarity == pytest.approx((1 / ratios.min(axis=1)).mean())


def clusters(seed, count=400):
    rng = np.random.default_rng(seed)
    centers = np.array([[4, 8], [12, 12], [40, 20], [30, 90], [200, 150]])
    return centers[rng.integers(0, 5, count)] * np.exp(rng.normal(0, 0.1, (count, 2))), centers


@pytest.mark.parametrize('seed', range(3))
def test_finds_clusters(seed):
    boxes, centers = clusters(seed)
    anchors = fit_anchors(boxes, 5, generations=100)
    for center in centers:
        assert min(ratio(center, anchor) for anchor in anchors) < 1.15
    assert fit_of_anchors(boxes, anchors).recall == 1.0


def test_evolution_is_no_worse_than_kmeans_and_seeded():
    boxes = np.exp(np.random.default_rng(0).normal(3, 1, size=(6000, 2)))
    start = fit_of_anchors(boxes, fit_anchors(boxes, 6, generations=0))
    first, second = (fit_anchors(boxes, 6, generations=60, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert fit_of_anchors(boxes, first).similarity >= start.similarity - 0.002
    assert (np.diff(first.prod(axis=1)) >= 0).all()


def test_many_equal_boxes():
    boxes = np.concatenate([np.full((500, 2), 8.0), [[9, 9], [20, 20]]])
    anchors = fit_anchors(boxes, 3, generations=5)
    assert anchors.shape == (3, 2) and np.isfinite(anchors).all()


def test_levels():
    anchors = np.arange(1, 13).reshape(6, 2)
    assert split_over_levels(anchors, 3) == [
        [(1, 2), (3, 4)],
        [(5, 6), (7, 8)],
        [(9, 10), (11, 12)],
    ]
    with pytest.raises(ValueError, match='found 6 for 4 levels'):
        split_over_levels(anchors, 4)


def test_resized():
    sizes = resized_sizes(np.array([[12.8, 7.2]]), (1280, 720), (640, 640))
    np.testing.assert_allclose(sizes, [[6.4, 3.6]])


def test_errors_name_what_is_wrong():
    boxes = np.array([[3.0, 4.0], [5.0, 6.0]])
    with pytest.raises(ValueError, match='anchors: found an array of shape'):
        fit_of_anchors(boxes, np.zeros((0, 2)))
    with pytest.raises(ValueError, match='boxes: found sizes that are not positive'):
        fit_of_anchors(boxes * [1, 0], boxes)
    with pytest.raises(ValueError, match='found 3 for boxes of 2 different sizes'):
        fit_anchors(boxes, 3)
