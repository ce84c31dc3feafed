# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Whether an authors' DetSim is whole; the numbers are compared in tests/reference_parity."""

import json

import pytest
import torch

from smallobj_mm.checkpoints.converters.detsim import convert_detsim

pytest.importorskip('mmpretrain')


@pytest.fixture(scope='module')
def authors(golden_dir):
    """Empty tensors under the authors' names, of their shapes."""
    keys = json.loads((golden_dir / 'detsim_authors_keys.json').read_text())
    return {name: torch.empty(shape) for name, shape in keys.items()}


def test_auxiliary_heads_may_be_missing(authors):
    """The authors' program saves that of the last stage only."""
    state = {k: v for k, v in authors.items() if not k.startswith('ss_predictor')}
    renamed, _, lines = convert_detsim(state, 'x.pth')
    assert len(renamed) == 230
    heads = ', '.join(f'auxiliary_head.stages.{i}' for i in range(4))
    assert lines[-1] == f'x.pth does not hold: {heads}'


@pytest.mark.parametrize(
    ('lost', 'message'),
    [
        ('backbone.layer2.', 'not found: backbone.layer2.0.conv1.weight, .* and 23 more'),
        ('pro2.', 'not found: neck.stages.1.fc0.weight'),
        ('predictor.', 'not found: head.stages.3.predictor.fc0.weight'),
        ('ss_predictor1.crop.0.', 'not found: auxiliary_head.stages.0.crop.fc0.weight'),
        ('ss_predictor1.color.', 'not found: auxiliary_head.stages.0.color.fc0.weight'),
    ],
)
def test_part_of_a_model(authors, lost, message):
    state = {k: v for k, v in authors.items() if not k.startswith(lost)}
    with pytest.raises(ValueError, match=rf'x.pth: \d+ of the \d+ tensors of DetSim.*{message}'):
        convert_detsim(state, 'x.pth')


def test_one_tensor(authors):
    with pytest.raises(ValueError, match='x.pth: 1 of the 342 tensors of DetSim fit; not found: b'):
        convert_detsim({'backbone.conv1.weight': authors['backbone.conv1.weight']}, 'x.pth')


def test_another_shape(authors):
    with pytest.raises(ValueError, match=r'backbone.bn1.bias \(3,\) instead of \(64,\)'):
        convert_detsim({**authors, 'backbone.bn1.bias': torch.empty(3)}, 'x.pth')
