# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The examples in the docstrings of the infrared data run and give what they say."""

import doctest
import importlib

import numpy as np
import pytest

MODULES = {
    'backgrounds': 1,
    'mixture': 1,
    'target_patches': 5,
    'target_scaling': 4,
    'target_shapes': 3,
    'transforms.caching': 3,
    'transforms.clutter': 4,
    'transforms.ir_degradations': 12,
    'transforms.ir_levels': 12,
    'transforms.synthetic_targets': 5,
    'transforms.target_copy_paste': 1,
    'transforms.target_scale': 10,
}


@pytest.mark.parametrize('name', MODULES)
def test_examples(name, seeded):
    module = importlib.import_module(f'smallobj_mm.datasets.{name}')
    # NumPy 1 and 2 print scalars alike in this form.
    with np.printoptions(legacy='1.25'):
        result = doctest.testmod(module)
    assert not result.failed and result.attempted >= MODULES[name]
