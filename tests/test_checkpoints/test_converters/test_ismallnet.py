# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Names of the authors' iSmallNet."""

import json

import pytest
import torch

from smallobj_mm.checkpoints.converters.ismallnet import convert_ismallnet, rename_ismallnet

HEAD = 'decode_head.head_module'


@pytest.mark.parametrize(
    'theirs, ours',
    [
        ('bbkbone.conv0_0.0.conv1.weight', 'backbone.streams.0.levels.0.0.conv1.weight'),
        (
            'dbkbone.conv4_0.1.ca.fc2.weight',
            'backbone.streams.1.levels.4.1.channel_attention.expand.weight',
        ),
        (
            'decoderd1.conv2_1.1.sa.conv1.weight',
            'neck.streams.1.nodes.2_1.1.spatial_attention.conv.weight',
        ),
        ('decoderb2.conv0_4_final.0.bn2.bias', f'{HEAD}.interior_final.bn2.bias'),
        ('decoderd2.conv0_4_1x1.weight', f'{HEAD}.boundary_laterals.4.weight'),
        ('decoder3.conv4_1x1.bias', f'{HEAD}.fusion_laterals.4.bias'),
        ('decoder3.conv_final.0.shortcut.0.bias', f'{HEAD}.fusion_final.shortcut.0.bias'),
        ('module.linear.1.running_mean', f'{HEAD}.mask_logit.1.running_mean'),
        ('lineard.weight', f'{HEAD}.boundary_logit.weight'),
    ],
)
def test_names(theirs, ours):
    renamed, dropped = rename_ismallnet({theirs: torch.zeros(1)})
    assert list(renamed) == [ours] and dropped == []


def test_the_shared_convolution_is_there_twice():
    renamed, _ = rename_ismallnet({'decoder3.conv1_1x1.weight': torch.ones(2)})
    one, two = (renamed[f'{HEAD}.fusion_laterals.{i}.weight'] for i in (0, 1))
    assert torch.equal(one, two) and one.data_ptr() != two.data_ptr()


def test_unused_and_unknown():
    assert rename_ismallnet({'decoder3.conv0_1x1.bias': torch.zeros(1)}) == (
        {},
        ['decoder3.conv0_1x1.bias'],
    )
    with pytest.raises(ValueError, match='backbone.x: unknown name'):
        rename_ismallnet({'backbone.x': torch.zeros(1)})


def test_part_of_a_model():
    part = {'linearb.weight': torch.zeros(1)}
    with pytest.raises(ValueError, match='a.pth: found 1 tensors without the first'):
        convert_ismallnet({'state_dict': part}, 'a.pth')


@pytest.fixture(scope='module')
def authors(golden_dir):
    """Empty tensors under the authors' names, of their shapes."""
    keys = json.loads((golden_dir / 'ismallnet_authors_keys.json').read_text())
    return {name: torch.empty(shape) for name, shape in keys.items()}


def test_whole(authors):
    renamed, _, lines = convert_ismallnet(authors, 'a.pth')
    assert lines[0] == 'a.pth: iSmallNet'
    old = {k: v for k, v in authors.items() if not k.endswith('num_batches_tracked')}
    assert len(convert_ismallnet(old, 'a.pth')[0]) < len(renamed)


@pytest.mark.parametrize(
    ('name', 'shape', 'message'),
    [
        ('decoderb1.conv2_1.0.conv1.weight', None, 'not found: neck.streams.0.nodes.2_1.0.conv1.w'),
        ('linear.3.bias', (2,), r'of another shape: .*mask_logit.3.bias \(2,\) instead of \(1,\)'),
        ('bbkbone.conv0_0.7.conv1.weight', (1,), 'not in the model: backbone.streams.0.levels.0.7'),
    ],
)
def test_not_whole(authors, name, shape, message):
    state = {k: v for k, v in authors.items() if k != name}
    if shape:
        state[name] = torch.empty(shape)
    with pytest.raises(ValueError, match=rf'a.pth: \d+ of the \d+ tensors of iSmallNet.*{message}'):
        convert_ismallnet(state, 'a.pth')
