# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Activations computed again."""

import copy

import pytest
import torch
from torch import nn

from smallobj_mm.models.backbones import DualStreamEncoder
from smallobj_mm.models.necks import NestedInteractiveNeck
from smallobj_mm.models.utils.activation_checkpointing import run_checkpointed

CHANNELS = (8, 8, 16)


@pytest.fixture
def network():
    """Encoder and neck."""
    options = dict(num_blocks=(1, 2, 2))
    return nn.Sequential(
        DualStreamEncoder(channels=CHANNELS, **options),
        NestedInteractiveNeck(in_channels=CHANNELS, **options),
    )


def switch(network: nn.Module, with_cp: bool) -> nn.Module:
    """A copy with every stream switched."""
    network = copy.deepcopy(network)
    for stream in (*network[0].streams, *network[1].streams):
        stream.with_cp = with_cp
    return network


def step(network: nn.Module, image: torch.Tensor) -> tuple:
    """Outputs, and the bytes kept for the backward pass, after one forward and backward pass."""
    storages = {}

    def keep(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outs = [x for stream in network(image) for x in stream]
    sum(x.square().mean() for x in outs).backward()
    return outs, sum(storages.values())


def test_same_step_less_memory(network):
    """Outputs, gradients and running statistics are the same; much less is kept."""
    image = torch.randn(2, 3, 64, 64)
    plain, saving = switch(network, False), switch(network, True)
    outs, kept = step(plain, image)
    outs_again, kept_less = step(saving, image)
    assert kept_less < 0.35 * kept
    for a, b in zip(outs, outs_again):
        torch.testing.assert_close(a, b)
    for (name, a), b in zip(plain.named_parameters(), saving.parameters()):
        torch.testing.assert_close(a.grad, b.grad, msg=name)
    for (name, a), b in zip(plain.named_buffers(), saving.buffers()):
        torch.testing.assert_close(a, b, msg=name)


def test_statistics_are_updated_once():
    """The second computation leaves them alone, whatever the momentum."""
    for momentum in (0.1, None):
        norm = nn.BatchNorm2d(4, momentum=momentum)
        x = torch.randn(2, 4, 5, 5, requires_grad=True)
        run_checkpointed(norm, norm, x).square().sum().backward()
        reference = nn.BatchNorm2d(4, momentum=momentum)
        reference(x)
        assert torch.equal(norm.running_mean, reference.running_mean)
        assert norm.num_batches_tracked == 1
        assert norm.momentum == momentum


def test_only_in_training(network):
    network = switch(network, True).eval()
    with torch.no_grad():
        outs = network(torch.randn(1, 3, 16, 16))
    assert outs[0][0].shape == (1, 8, 16, 16)
