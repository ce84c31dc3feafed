# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mmengine.structures import BaseDataElement

from smallobj_mm.inference.targets import as_instances, box_targets, find_targets, mask_targets


def test_components_of_a_mask():
    """Boxes in pixels whose borders are whole numbers, as those of a detector."""
    mask = np.zeros((20, 30), np.uint8)
    probability = np.full((20, 30), 0.1, np.float32)
    mask[4:7, 10:15] = 1
    probability[4:7, 10:15] = 0.8
    mask[10, 2] = mask[11, 3] = 1  # touch at a corner: one target
    probability[10, 2], probability[11, 3] = 0.9, 1.0
    found = mask_targets(mask, probability, label=1)
    np.testing.assert_array_equal(found.bboxes, [[2, 10, 4, 12], [10, 4, 15, 7]])
    np.testing.assert_allclose(found.centroids, [[3, 11], [12.5, 5.5]])
    np.testing.assert_array_equal(found.areas, [2, 15])
    np.testing.assert_allclose(found.scores, [1.0, 0.8], rtol=1e-6)
    np.testing.assert_array_equal(found.labels, [1, 1])


@given(arrays(np.float32, (12, 14), elements=st.sampled_from([0, 0.2, 0.4, 0.6, 0.8, 1])),
       st.sampled_from([0.1, 0.3]), st.sampled_from([0.3, 0.5, 0.7]))  # fmt: skip
def test_scores_and_order_do_not_depend_on_the_threshold(probability, low, high):
    """A target that a higher threshold leaves alone has the same score and the same place."""
    few = mask_targets(probability > high, probability)
    many = mask_targets(probability > low, probability)
    assert (np.diff(few.scores) <= 0).all() and (np.diff(many.scores) <= 0).all()
    places = []
    for target in range(len(many.scores)):
        x1, y1, x2, y2 = many.bboxes[target].astype(int)
        inside = (few.bboxes[:, :2] >= [x1, y1]).all(1) & (few.bboxes[:, 2:] <= [x2, y2]).all(1)
        inside &= few.scores == many.scores[target]
        if many.scores[target] > high:
            assert inside.any()
            places.append(np.flatnonzero(inside)[0])
    best = [few.scores[place] for place in places]
    assert best == sorted(best, reverse=True)


def test_equal_scores_keep_their_order():
    """Saturated probabilities: the scan decides, whatever the threshold."""
    probability = np.zeros((9, 40), np.float32)
    for left in (30, 20, 10, 0):
        probability[left // 10 : left // 10 + 3, left : left + 5] = 0.6
        probability[left // 10 + 1, left + 2] = 1
    for threshold in (0.5, 0.9):
        found = mask_targets(probability > threshold, probability)
        assert found.scores.tolist() == [1] * 4
        assert found.centroids[:, 0].tolist() == [2.5, 12.5, 22.5, 32.5]


@pytest.mark.parametrize('value', [0, 1])
def test_empty_and_full(value):
    found = mask_targets(np.full((4, 5), value), np.full((4, 5), 0.7, np.float32))
    assert len(found.scores) == value
    assert found.bboxes.shape == (value, 4) and found.centroids.shape == (value, 2)
    if value:
        np.testing.assert_array_equal(found.bboxes, [[0, 0, 5, 4]])


def test_boxes():
    found = box_targets(np.array([[1, 2, 4, 8.0]]), np.array([0.5]), np.array([3]))
    np.testing.assert_array_equal(found.centroids, [[2.5, 5]])
    assert found.areas.tolist() == [18] and found.labels.tolist() == [3]
    assert box_targets(np.zeros(0), np.zeros(0), np.zeros(0)).bboxes.shape == (0, 4)


def test_out_of_a_sample():
    targets = box_targets(np.array([[1, 2, 4, 8.0]]), np.array([0.5]), np.array([3]))
    sample = BaseDataElement()
    sample.pred_instances = as_instances(targets)
    for one, other in zip(find_targets(sample), targets):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match='no pred_instances'):
        find_targets(BaseDataElement())
