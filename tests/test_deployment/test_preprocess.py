# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The preprocessing that goes into files, against the data preprocessors."""

import pytest
import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample
from torch import nn

from smallobj_mm.deployment.preprocess import ImagePreprocess, input_format
from smallobj_mm.models.data_preprocessors import IRSTDDataPreProcessor

STATISTICS = dict(mean=[120.0, 110.0, 100.0], std=[50.0, 55.0, 60.0])
CASES = {
    'mmdet': DetDataPreprocessor(**STATISTICS, bgr_to_rgb=True, pad_size_divisor=32, pad_value=114),
    'mmdet, as it is': DetDataPreprocessor(),
    'reflect': IRSTDDataPreProcessor(**STATISTICS, bgr_to_rgb=True, size_divisor=16),
    'constant': IRSTDDataPreProcessor(**STATISTICS, pad_mode='constant', pad_val=0.5),
    'own level and spread': IRSTDDataPreProcessor(bgr_to_rgb=True, image_norm={}),
    'own, constant': IRSTDDataPreProcessor(
        pad_mode='constant', pad_val=0.5, image_norm=dict(rounds=1, compress=None)
    ),
    'mmseg': SegDataPreProcessor(
        **STATISTICS, bgr_to_rgb=True, size_divisor=32, test_cfg=dict(size_divisor=32)
    ),
}


@pytest.mark.parametrize('name', CASES)
@pytest.mark.parametrize('size', [(33, 90), (64, 32), (1, 5)])
def test_as_the_data_preprocessor(name, size):
    images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    samples = [SegDataSample() for _ in images]
    expected = CASES[name](dict(inputs=list(images), data_samples=samples), False)['inputs']
    found = ImagePreprocess(input_format(CASES[name]))(images)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_other_kinds_are_refused():
    with pytest.raises(ValueError, match='data_preprocessor: found Identity, expected one that'):
        input_format(nn.Identity())
    resizing = SegDataPreProcessor(size=(64, 64), test_cfg=dict(size=(64, 64)))
    with pytest.raises(ValueError, match='expected size_divisor'):
        input_format(resizing)
