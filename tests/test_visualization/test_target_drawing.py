# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What pictures of targets are drawn with."""

import numpy as np
import pytest

from smallobj_mm.visualization.target_drawing import enlarge


@pytest.mark.parametrize('shape', [(5, 7, 3), (9, 4), (1, 1, 3), (13, 11), (4, 7281)])
@pytest.mark.parametrize('zoom', [1, 2, 3, 7, 49, 70, 97])
def test_enlarging_repeats_pixels(shape, zoom):
    """Every pixel becomes a square; what is drawn on it leaves the image as it is."""
    rng = np.random.default_rng(0)
    for image in (rng.integers(0, 255, shape, dtype=np.uint8), rng.random(shape) > 0.5):
        before = image.copy()
        large = enlarge(image, zoom)
        expected = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
        assert large.dtype == image.dtype and np.array_equal(large, expected)
        large[:] = 0
        assert np.array_equal(image, before)
