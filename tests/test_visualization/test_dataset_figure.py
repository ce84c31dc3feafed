# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from smallobj_mm.visualization.dataset_figure import _crowding_edges


@pytest.mark.parametrize('most', [0, 1, 39, 79, 80, 100, 119, 121, 1000])
def test_the_most_crowded_images_are_in_the_histogram(most):
    edges = _crowding_edges(most)
    assert np.histogram([0, most], edges)[0].sum() == 2
    assert len(edges) < 90 and len(set(np.diff(edges))) == 1
