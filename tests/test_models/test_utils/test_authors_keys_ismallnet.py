# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Names of the authors' iSmallNet."""

import pytest
import torch

from smallobj_mm.models.utils.authors_keys_ismallnet import convert_ismallnet, rename_ismallnet

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
