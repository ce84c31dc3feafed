# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Reading images the way the test pipeline does, for inference."""

import cv2
import numpy as np
import pytest
from mmengine.config import Config

pytest.importorskip('mmdet')

from smallobj_mm.inference.preparing import ImagePreparer  # noqa: E402


def preparer(**loading):
    steps = [dict(type='LoadImageStrict', **loading), dict(type='PackDetInputs')]
    return ImagePreparer(Config(dict(default_scope='mmdet')), 'toy', steps)


def test_raw_infrared_images_keep_their_contrast(tmp_path):
    """Unless the pipeline wants to be told of them."""
    levels = np.linspace(7000, 9040, 256).astype(np.uint16).reshape(16, 16)
    path = str(tmp_path / 'raw.png')
    cv2.imwrite(path, levels)
    read = preparer().read(path)
    assert read.shape == (16, 16, 3) and len(np.unique(read)) > 250
    with pytest.raises(ValueError, match=r'raw\.png: an image of uint16, values 7000 to 9040'):
        preparer(high_bit_depth='error').read(path)
