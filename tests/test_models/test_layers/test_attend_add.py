# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The attention of a residual block in one step, against autograd."""

import pytest
import torch

from smallobj_mm.models.layers import ResCBAMBlock
from smallobj_mm.models.layers.attend_add import attend_add


def block_and_inputs(dtype=torch.float64, memory_format=torch.channels_last):
    block = ResCBAMBlock(16, 16).to(dtype)
    x = torch.randn(2, 16, 5, 7, dtype=dtype).contiguous(memory_format=memory_format)
    return block, x.requires_grad_(), torch.randn_like(x).requires_grad_()


def written_out(block, x, shortcut):
    """The same by the two attention modules."""
    out = x * block.channel_attention(x)
    out = out * block.spatial_attention(out)
    return torch.relu(out + shortcut)


def in_one_step(block, x, shortcut):
    weights = (
        block.channel_attention.reduce.weight,
        block.channel_attention.expand.weight,
        block.spatial_attention.conv.weight,
    )
    return attend_add(x, shortcut, *weights)


def weights_and_inputs(block, x, shortcut):
    attention = (block.channel_attention, block.spatial_attention)
    return [x, shortcut, *(p for module in attention for p in module.parameters())]


@pytest.mark.parametrize('memory_format', [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize('ties', [False, True])
def test_values_and_gradients(memory_format, ties):
    """Equal to autograd's; of equal channels each takes its share of the maximum's gradient."""
    block, x, shortcut = block_and_inputs(memory_format=memory_format)
    if ties:
        with torch.no_grad():
            x[:, 3:5] = x[:, :1] + 1
            block.channel_attention.expand.weight.zero_()
    probe = torch.randn_like(x)
    results = []
    for function in (written_out, in_one_step):
        out = function(block, x, shortcut)
        grads = torch.autograd.grad((out * probe).sum(), weights_and_inputs(block, x, shortcut))
        results.append((out, *grads))
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_half_precision():
    """Within what bfloat16 rounds, and the gradients of weights stay in single precision."""
    block, x, shortcut = block_and_inputs(torch.float32)
    expected = written_out(block, x, shortcut)
    found = in_one_step(block, x.bfloat16(), shortcut.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0.02)
    grads = torch.autograd.grad(found.float().sum(), weights_and_inputs(block, x, shortcut)[2:])
    assert {grad.dtype for grad in grads} == {torch.float32}


@pytest.mark.parametrize('autocast', [False, True])
def test_block_takes_it_where_gradients_are_wanted(randomize, autocast):
    """The same output with gradients and without, in autocast, too."""
    block = randomize(ResCBAMBlock(8, 16)).eval()
    x = torch.randn(2, 8, 6, 6)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        with torch.no_grad():
            expected = block(x)
        found = block(x)
    assert 'AttendAdd' in type(found.grad_fn).__name__
    tolerance = dict(atol=0.1, rtol=0.05) if autocast else {}
    torch.testing.assert_close(found.float(), expected.float(), **tolerance)


def test_shapes_without_memory():
    """On the device 'meta', which knows no autocast."""
    with torch.device('meta'):
        block = ResCBAMBlock(8, 16)
        assert block(torch.empty(2, 8, 6, 6)).shape == (2, 16, 6, 6)
