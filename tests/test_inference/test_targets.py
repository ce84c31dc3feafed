# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
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
    np.testing.assert_allclose(found.scores, [0.95, 0.8], rtol=1e-6)
    np.testing.assert_array_equal(found.labels, [1, 1])


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
