# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""NestedInteractiveNeck."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from smallobj_mm.models.necks import NestedInteractiveNeck

CHANNELS = (4, 6, 8)
SMALL = dict(in_channels=CHANNELS, num_blocks=(1, 2, 1))


def levels(sizes=((16, 24), (8, 12), (4, 6))) -> tuple:
    """Features of one stream."""
    return tuple(torch.randn(2, c, *size) for c, size in zip(CHANNELS, sizes))


def test_nodes_see_what_the_definition_says():
    """The neck written out for three levels."""
    neck = NestedInteractiveNeck(num_streams=1, **SMALL).eval()
    nodes = neck.streams[0].nodes
    x00, x10, x20 = levels()

    def to(x, like):
        return F.interpolate(x, like.shape[2:], mode='bilinear', align_corners=True)

    def cat(*parts):
        return torch.cat(parts, dim=1)

    x01 = nodes['0_1'](cat(x00, to(x10, x00)))
    x11 = nodes['1_1'](cat(x10, to(x20, x10), to(x00, x10), to(x01, x10)))
    x02 = nodes['0_2'](cat(x00, x01, to(x11, x00)))
    for out, expected in zip(neck((x00, x10, x20)), (x02, x11, x20)):
        torch.testing.assert_close(out, expected)
    assert set(nodes) == {'0_1', '1_1', '0_2'}


@pytest.mark.parametrize('sizes', [((16, 24), (8, 12), (4, 6)), ((13, 21), (7, 11), (4, 6))])
def test_two_streams(sizes):
    neck = NestedInteractiveNeck(**SMALL)
    inputs = (levels(sizes), levels(sizes))
    outs = neck(inputs)
    assert [[x.shape for x in s] for s in outs] == [[x.shape for x in s] for s in inputs]


def test_no_map_is_resampled_twice(monkeypatch):
    """Each node goes up at most once and down at most once."""
    neck = NestedInteractiveNeck(
        in_channels=(4, 4, 4, 4), num_blocks=(1, 1, 1, 1), num_streams=1
    ).eval()
    seen = []
    plain = F.interpolate

    def count(x, size, **options):
        seen.append((x.data_ptr(), tuple(size)))
        return plain(x, size, **options)

    monkeypatch.setattr(F, 'interpolate', count)
    keep = [torch.randn(1, 4, 32 >> i, 32 >> i) for i in range(4)]
    neck(keep)
    # Ups: a node of each of the six; downs: levels 0..2 of the columns that have a finer node.
    assert len(seen) == 6 + (3 + 2 + 1)


def test_trains_in_a_stock_mmseg_config():
    """One stream between a stock backbone and a stock head."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(
            dict(
                type='EncoderDecoder',
                data_preprocessor=dict(type='SegDataPreProcessor'),
                backbone=dict(
                    type='ResNetV1c', depth=18, base_channels=8, out_indices=(0, 1, 2, 3)
                ),
                neck=dict(
                    type='NestedInteractiveNeck',
                    in_channels=[8, 16, 32, 64],
                    num_blocks=[1, 1, 1, 1],
                    num_streams=1,
                ),
                decode_head=dict(
                    type='FCNHead',
                    in_channels=8,
                    in_index=0,
                    channels=8,
                    num_convs=1,
                    num_classes=3,
                ),
            )
        )
    out = model(torch.randn(2, 3, 64, 64), mode='tensor')
    assert out.shape == (2, 3, 16, 16)
    out.sum().backward()
    finest = [p for n, p in model.neck.named_parameters() if '.0_3.' in n]
    assert finest and all(p.grad is not None for p in finest)


def test_wrong_inputs_and_arguments():
    with pytest.raises(ValueError, match='in_channels has 3 levels and num_blocks 1'):
        NestedInteractiveNeck(in_channels=CHANNELS, num_blocks=(1,))
    with pytest.raises(ValueError, match='num_streams is 0'):
        NestedInteractiveNeck(num_streams=0, **SMALL)
    neck = NestedInteractiveNeck(**SMALL)
    with pytest.raises(ValueError, match='got 3 streams, expected 2'):
        neck(levels())
    with pytest.raises(ValueError, match=r'got \[2\] levels, expected 3'):
        neck((levels()[:2], levels()[:2]))


def test_without_attention():
    """The option reaches every block."""
    assert [name for name in NestedInteractiveNeck(**SMALL).state_dict() if 'attention' in name]
    plain = NestedInteractiveNeck(attention=False, **SMALL)
    assert not [name for name in plain.state_dict() if 'attention' in name]
