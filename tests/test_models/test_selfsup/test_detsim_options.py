# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Parts of a DetSim that do not fit together, and options out of their range."""

import pytest
import torch
from mmengine.registry import DefaultScope

pytest.importorskip('mmpretrain')

from mmpretrain.models.backbones import ResNet  # noqa: E402
from torch import nn  # noqa: E402

from smallobj_mm.models.selfsup import (  # noqa: E402
    AugmentationAwareHead,
    DetSim,
    MultiStageProjector,
    MultiStageSimilarityHead,
)

CHANNELS = [8, 16, 32, 64]


class MapsOfTest(nn.Module):
    """A backbone that tells nothing about its maps before it has made them."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, x):
        return tuple(x[:, :1].expand(-1, width, -1, -1) for width in self.channels)


def build(**changes):
    """A small DetSim; each part's options are changed by a dict under its name."""
    parts = dict(
        backbone=dict(
            type='ResNet', depth=18, out_indices=(0, 1, 2, 3), stem_channels=8, base_channels=8
        ),
        neck=dict(
            type='MultiStageProjector', in_channels=CHANNELS, hid_channels=16, out_channels=16
        ),
        head=dict(type='MultiStageSimilarityHead', in_channels=16, hid_channels=8),
        auxiliary_head=dict(
            type='AugmentationAwareHead', in_channels=CHANNELS, hid_channels=8, weights=dict(crop=1)
        ),
    )
    for name, value in changes.items():
        if isinstance(value, dict) and 'type' not in value:
            parts[name].update(value)
        else:
            parts[name] = value
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return DetSim(**parts)


TWO = dict(in_channels=[8, 16], num_layers=[3, 4])
MISFITS = [
    (
        dict(neck=TWO),
        r'backbone.out_indices is \(0, 1, 2, 3\), which are 4 stages, expected 2, one for each of '
        r'neck.in_channels \(8, 16\)',
    ),
    (
        dict(backbone=dict(out_indices=(2, 3))),
        r'backbone.out_indices is \(2, 3\), which are 2 stages, expected 4',
    ),
    (
        dict(neck=dict(in_channels=[8, 16, 32, 128])),
        r'neck.in_channels is \(8, 16, 32, 128\), expected the channels of the stages of the '
        r'backbone \(8, 16, 32, 64\)',
    ),
    (dict(head=dict(num_stages=3)), 'head.num_stages is 3, expected 4, the stages of the neck'),
    (dict(head=dict(num_stages=5)), 'head.num_stages is 5, expected 4, the stages of the neck'),
    (dict(head=dict(in_channels=8)), 'head.in_channels is 8, expected 16, neck.out_channels'),
    (
        dict(auxiliary_head=dict(in_channels=[8, 16])),
        r'auxiliary_head.in_channels is \(8, 16\), expected \(8, 16, 32, 64\), neck.in_channels',
    ),
    (
        dict(auxiliary_head=dict(in_channels=[8, 16, 32, 65])),
        r'auxiliary_head.in_channels is \(8, 16, 32, 65\), expected \(8, 16, 32, 64\)',
    ),
    (dict(stage_weights=[1.0]), r'stage_weights is \[1.0\], expected 4 numbers of 0 or more'),
    (dict(stage_weights=[1, 1, 1, -1]), r'stage_weights is \[1, 1, 1, -1\], expected 4 numbers'),
    (dict(stage_weights=None), 'stage_weights is None, expected 4 numbers'),
    (dict(stage_weights=0.25), 'stage_weights is 0.25, expected 4 numbers'),
    (dict(local_grid=0), 'local_grid is 0, expected an integer of 1 or more'),
    (dict(local_grid=1.5), 'local_grid is 1.5, expected an integer of 1 or more'),
    (dict(local_weight=-1), 'local_weight is -1, expected a number of 0 or more'),
    (dict(local_weight=None), 'local_weight is None, expected a number of 0 or more'),
]


@pytest.mark.parametrize(('changes', 'message'), MISFITS)
def test_misfits_are_said_when_built(changes, message):
    with pytest.raises(ValueError, match=f'^DetSim: {message}') as error:
        build(**changes)
    assert '\n' not in str(error.value)


def test_any_stages_that_agree():
    build(
        backbone=dict(out_indices=[1, 3]),
        neck=dict(in_channels=(16, 64), num_layers=[3, 2]),
        head=dict(num_stages=2),
        auxiliary_head=dict(in_channels=(16, 64)),
        stage_weights=(0, 1),
        local_weight=0,
    )


def test_a_built_backbone():
    backbone = ResNet(34, out_indices=(0, 1, 2, 3), stem_channels=8, base_channels=8)
    assert build(backbone=backbone).backbone is backbone


@pytest.mark.parametrize('channels', [CHANNELS[:3], [*CHANNELS, 64], [8, 16, 32, 65]])
def test_an_unknown_backbone_is_compared_at_the_first_batch(channels):
    model = build(backbone=MapsOfTest(channels))
    found = str(tuple(channels)).replace('(', r'\(').replace(')', r'\)')
    message = rf'the backbone gives maps of {found} channels, expected \(8, 16, 32, 64\)'
    with pytest.raises(ValueError, match=f'^DetSim: {message}') as error:
        model([torch.zeros(2, 3, 8, 8)] * 2, [], mode='loss')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'weights', [None, 0.5, [0.5, 0.5], dict(crop=None), dict(crop='0.5'), dict(crop=float('nan'))]
)
def test_weights_of_another_kind(weights):
    message = '^AugmentationAwareHead: weights is .*, expected a number of 0 or more'
    with pytest.raises(ValueError, match=message) as error:
        AugmentationAwareHead(weights)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (
            lambda: MultiStageProjector(num_layers=3),
            r'MultiStageProjector: num_layers is 3 for the in_channels \(64, 128, 256, 512\)',
        ),
        (
            lambda: MultiStageProjector([], num_layers=[]),
            r'MultiStageProjector: num_layers is \[\]',
        ),
        (
            lambda: MultiStageProjector(64, num_layers=[3]),
            r'MultiStageProjector: num_layers is \[3\] for the in_channels 64',
        ),
        (
            lambda: MultiStageSimilarityHead(num_stages=0),
            'MultiStageSimilarityHead: num_stages is 0, expected 1 or more',
        ),
        (
            lambda: MultiStageSimilarityHead(stop_gradient='no'),
            "MultiStageSimilarityHead: stop_gradient is 'no', expected True or False",
        ),
        (
            lambda: AugmentationAwareHead(in_channels=64),
            'AugmentationAwareHead: in_channels is 64, expected a number for each stage',
        ),
    ],
)
def test_lists_of_stages(make, message):
    with pytest.raises(ValueError, match=f'^{message}') as error:
        make()
    assert '\n' not in str(error.value)
