# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The weights that come with the package, by their name alone, on real images."""

import numpy as np
import pytest

from smallobj_mm.datasets.masks import read_mask
from smallobj_mm.evaluation.irstd_counts import count_image
from smallobj_mm.inference import SmallObjectInferencer
from smallobj_mm.weights import shipped_weights

NAME = 'ismallnet_s_nuaa'


@pytest.fixture(scope='module')
def inferencer():
    try:
        shipped_weights(NAME)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return SmallObjectInferencer(NAME)


@pytest.mark.parametrize('tile', [None, 128])
def test_finds_targets_in_tiles_too(shared_dir, inferencer, tile):
    """The name leads to weights that see targets; how many, six images cannot measure."""
    root = shared_dir / 'data' / 'NUAA-SIRST'
    names = (root / 'test.txt').read_text().split()[:6]
    paths = [root / 'image' / f'{name}.png' for name in names]
    counts = []
    for name, sample in zip(names, inferencer(paths, tile=tile)):
        (mask,) = (root / 'mask').glob(f'{name}[_.]*')
        probability = sample.seg_logits.data[0].numpy()
        counts.append(count_image(probability, read_mask(str(mask)), [0.5]))
    detected = np.concatenate([one.detected[0] for one in counts])
    false = sum(int(one.false_components[0]) for one in counts)
    assert detected.mean() >= 0.5 and false <= len(names)
