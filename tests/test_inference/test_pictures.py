# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmengine.structures import BaseDataElement, InstanceData

from smallobj_mm.inference.pictures import SIDE, draw_result


def sample():
    one = InstanceData(
        bboxes=np.array([[1.0, 0.0, 3.0, 1.0]]), scores=np.array([0.9]), labels=np.array([0])
    )
    return BaseDataElement(pred_instances=one.to_tensor())


@pytest.mark.parametrize('shape', [(1, 700), (700, 1), (20, 30), (700, 800)])
def test_pictures_are_enlarged_by_their_longer_side(shape):
    """A line of pixels is not blown up to a square of it."""
    picture = draw_result(np.zeros(shape, np.uint8), sample(), ['one'])
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    assert picture.shape[1] <= max(2 * SIDE, shape[1])
    assert picture.shape[0] <= max(2 * SIDE, shape[0]) + 100  # with the legend
