# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from torch import nn

from smallobj_mm.models.dense_heads import DecoupledCrossHeadModule

CHANNELS, STRIDES = (4, 8, 12), (8, 16, 32)


def make(num_classes=3, **options):
    module = DecoupledCrossHeadModule(num_classes, CHANNELS, STRIDES, **options)
    module.init_weights()
    return module


def maps():
    return [torch.randn(2, c, 64 // s, 96 // s) for c, s in zip(CHANNELS, STRIDES)]


@pytest.mark.parametrize('decoupled', [False, True])
@pytest.mark.parametrize('num_classes, num_anchors', [(1, 3), (3, 3), (4, 2)])
def test_shapes(decoupled, num_classes, num_anchors):
    outs = make(num_classes, num_anchors=num_anchors, decoupled=decoupled)(maps())
    assert isinstance(outs, tuple)
    channels = num_anchors * (5 + num_classes)
    assert [tuple(o.shape) for o in outs] == [(2, channels, 64 // s, 96 // s) for s in STRIDES]


@pytest.mark.parametrize('decoupled', [False, True])
@pytest.mark.parametrize('num_classes', [1, 5])
def test_initial_biases(decoupled, num_classes):
    """8 objects in a 640 px image, and every class equally rare."""
    module = make(num_classes, decoupled=decoupled)
    for name, p in module.named_parameters():
        if name.endswith('conv.weight') or name.endswith('add.implicit'):
            nn.init.zeros_(p)
        elif name.endswith('mul.implicit'):
            nn.init.ones_(p)
    for out, stride in zip(module(maps()), STRIDES):
        rows = out.unflatten(1, (3, 5 + num_classes))[0, :, :, 0, 0]
        assert rows[:, :4].abs().max() == 0
        expected = math.log(8 / (640 / stride) ** 2)
        assert rows[:, 4].tolist() == pytest.approx([expected] * 3)
        expected = math.log(0.6 / (num_classes - 0.99))
        assert rows[:, 5:].flatten().tolist() == pytest.approx([expected] * 3 * num_classes)


def test_published_branch_doubles_the_channels():
    module = make()
    assert [b[0].conv3x3.conv.out_channels for b in module.branch] == [8, 16, 24]


@torch.no_grad()
def test_separate_branches():
    """Classes come from one branch, box and objectness from the other, interleaved by anchor."""
    module = make(decoupled=True).eval()
    x = maps()
    before = [o.unflatten(1, (3, 8)) for o in module(x)]
    for branch in module.class_branch:
        branch[-1].conv.bias += 1
        branch[-1].mul.implicit[:] = 1
    after = [o.unflatten(1, (3, 8)) for o in module(x)]
    for a, b, box, f in zip(before, after, module.box_branch, x):
        assert torch.equal(a[:, :, :5], b[:, :, :5])
        assert (a[:, :, 5:] != b[:, :, 5:]).all()
        torch.testing.assert_close(a[:, :, :5].flatten(1, 2), box(f))


def test_errors():
    with pytest.raises(ValueError, match='in_channels: found 2 levels, expected 3'):
        DecoupledCrossHeadModule(3, (4, 8), STRIDES)
