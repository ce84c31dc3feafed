# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from mmcv.cnn.utils import fuse_conv_bn
from torch import nn

from smallobj_mm.models.layers import RepConv
from smallobj_mm.models.utils import switch_to_deploy


@torch.no_grad()
def test_deployed_is_equal(layer, randomize):
    block = randomize(RepConv(6, 10, **layer)).eval()
    x = torch.randn(2, 6, 9, 7)
    expected = block(x)
    block.switch_to_deploy()
    torch.testing.assert_close(block(x), expected, atol=1e-4, rtol=0)
    block.switch_to_deploy()  # again: nothing more happens
    torch.testing.assert_close(block(x), expected, atol=1e-4, rtol=0)
    convs = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 1 and convs[0].kernel_size == (3, 3)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in block.modules())


@torch.no_grad()
@pytest.mark.parametrize(
    ('norm_cfg', 'folded'),
    [(dict(type='GN', num_groups=2), False), (dict(type='IN'), False), (None, True)],
)
def test_other_norms(layer, norm_cfg, folded):
    """What cannot be folded stays as it is; what has no norm folds."""
    block = RepConv(4, 6, norm_cfg=norm_cfg, act_cfg=layer['act_cfg']).eval()
    x = torch.randn(2, 4, 9, 7)
    expected = block(x)
    deployed = switch_to_deploy(block)
    torch.testing.assert_close(deployed(x), expected, atol=1e-5, rtol=0)
    assert (deployed.deployed is not None) == folded


@torch.no_grad()
def test_norms_that_are_folded_before(layer, randomize):
    """mmdet's own fusing leaves identities in their place."""
    block = randomize(RepConv(4, 6, **layer)).eval()
    x = torch.randn(1, 4, 5, 5)
    expected = block(x)
    block = switch_to_deploy(fuse_conv_bn(block))
    torch.testing.assert_close(block(x), expected, atol=1e-4, rtol=0)
    assert block.deployed is not None


@torch.no_grad()
def test_branches_are_summed_before_the_activation(layer, randomize):
    block = randomize(RepConv(4, 4, **layer)).eval()
    x = torch.randn(1, 4, 5, 5)
    plain = sum(
        branch.bn(nn.functional.conv2d(x, branch.conv.weight, padding=padding))
        for branch, padding in ((block.conv3x3, 1), (block.conv1x1, 0))
    )
    torch.testing.assert_close(block(x), plain * torch.sigmoid(plain))


def test_no_identity_branch(layer):
    """With every kernel zero and equal channels nothing of the input comes through."""
    block = RepConv(4, 4, **layer).eval()
    for name, p in block.named_parameters():
        if name.endswith('conv.weight'):
            nn.init.zeros_(p)
    assert block(torch.randn(1, 4, 5, 5)).count_nonzero() == 0


def test_state_dict_of_deployed_model_loads(layer, randomize):
    source, target = (randomize(RepConv(3, 5, **layer)).eval() for _ in range(2))
    source.switch_to_deploy()
    target.switch_to_deploy()
    x = torch.randn(1, 3, 6, 6)
    assert not torch.allclose(source(x), target(x))
    target.load_state_dict(source.state_dict())
    assert torch.equal(source(x), target(x))
