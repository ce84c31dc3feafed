# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np

from smallobj_mm.visualization import draw_label_maps
from smallobj_mm.visualization.label_drawing import CONTOUR_COLOR


def test_panels_and_contour():
    img = np.full((20, 30, 3), 90, np.uint8)
    mask = np.zeros((20, 30), np.int64)
    mask[5:8, 10:13], mask[15:] = 1, 255
    interior = (mask == 1) * 0.6
    drawn = draw_label_maps(img, mask, interior, 1 - interior, zoom=2)
    assert drawn.shape == (40, 3 * 60 + 2 * 2, 3)
    assert (drawn[10:16, 20:26] == 90).all()  # the target keeps its pixels
    assert (drawn[9, 19:27] == CONTOUR_COLOR).all()
    assert 90 < drawn[30:, :60].mean() < 150  # hatched
    assert (drawn[10:16, 62 + 20 : 62 + 26] == 153).all() and drawn[0, 62 + 30].max() == 0
    assert (drawn[0, 124 + 30] == 255).all()


def test_only_the_image_was_resized():
    drawn = draw_label_maps(np.zeros((40, 60, 1), np.uint8), np.ones((20, 30), np.uint8))
    assert drawn.shape == (40, 60, 3)
