# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The loader benchmark measures what it says, with toy sizes."""

import cv2
import numpy as np
import pytest

pytest.importorskip('mmpretrain')


def test_compare(load_tool, tmp_path):
    for i in range(2):
        cv2.imwrite(str(tmp_path / f'{i}.jpg'), np.full((50, 60, 3), 40 * i, np.uint8))
    tool = load_tool('analysis_tools/benchmark_views')
    rates = tool.compare(str(tmp_path), size=24, images=3, rounds=2)
    assert list(rates) == ['AugmentedViews', 'MultiView, OpenCV', 'MultiView, Pillow']
    assert all(len(values) == 2 and min(values) > 0 for values in rates.values())
    with pytest.raises(ValueError, match='0 images found'):
        tool.compare(str(tmp_path / 'none'), size=24, images=3, rounds=1)
