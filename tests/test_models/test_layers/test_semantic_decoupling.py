# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from torch import nn

from smallobj_mm.models.layers import SemanticDecoupling, decouple

MODES = ['spatial', 'authors', 'duplicate']


def plain_decouple(x, mode, stats):
    """The formulas of the paper and of the specification, number by number."""
    images, channels, height, width = x.shape
    area = height * width
    values = x.tolist()
    out = [[None] * (2 * channels) for _ in range(images)]
    for c in range(channels):
        m_object, m_background = [], []  # of each image
        for n in range(images):
            flat = [v for row in values[n][c] for v in row]
            mean = sum(flat) / area
            m = [1 / (1 + math.exp(mean - v)) for v in flat]
            m_object.append([w if v > mean else 0.0 for v, w in zip(flat, m)])
            m_background.append([0.0 if v > mean else w for v, w in zip(flat, m)])
        for n in range(images):
            flat = [v for row in values[n][c] for v in row]
            for half, maps in enumerate((m_object, m_background)):
                if mode == 'spatial':
                    factor = maps[n]
                elif stats == 'image':
                    factor = [sum(maps[n]) / area] * area
                else:
                    factor = [sum(map(sum, maps)) / (area * images)] * area
                out[n][half * channels + c] = [v * f for v, f in zip(flat, factor)]
    return torch.tensor(out).view(images, 2 * channels, height, width)


@pytest.mark.parametrize(
    'mode, stats', [('spatial', 'image'), ('authors', 'image'), ('authors', 'batch')]
)
def test_against_the_formula(mode, stats):
    x = torch.randn(3, 4, 5, 6) * torch.tensor([0.5, 1.0, 3.0]).view(3, 1, 1, 1)
    torch.testing.assert_close(
        decouple(x, mode, stats), plain_decouple(x, mode, stats), atol=1e-5, rtol=1e-5
    )


def test_stats_matter_to_the_authors_mode():
    x = torch.randn(3, 4, 5, 6)
    assert not torch.allclose(decouple(x, 'authors', 'image'), decouple(x, 'authors', 'batch'))


def test_duplicate():
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(decouple(x, 'duplicate'), torch.cat([x, x], dim=1))


def test_spatial_halves_are_disjoint():
    """A position answers in the object half or in the background half, never in both."""
    x = torch.randn(2, 3, 8, 8)
    first, second = decouple(x).chunk(2, dim=1)
    assert ((first == 0) ^ (second == 0)).all()
    assert torch.equal(first != 0, x > x.mean(dim=(2, 3), keepdim=True))


@pytest.mark.parametrize(
    'mode, stats, independent',
    [
        ('spatial', 'image', True),
        ('authors', 'image', True),
        ('duplicate', 'image', True),
        ('none', 'image', True),
        ('authors', 'batch', False),
    ],
)
@torch.no_grad()
def test_dependence_on_the_neighbors_in_the_batch(layer, randomize, mode, stats, independent):
    block = randomize(SemanticDecoupling(6, 4, **layer, mode=mode, stats=stats)).eval()
    x = torch.randn(4, 6, 7, 7) * torch.arange(1, 5).view(4, 1, 1, 1)
    alone = torch.cat([block(one) for one in x.split(1)])
    difference = (block(x) - alone).abs().max().item()
    assert difference < 1e-5 if independent else difference > 1e-3


@pytest.mark.parametrize('mode', [*MODES, 'none'])
def test_gradients_reach_everything(layer, mode, without_gradient):
    block = SemanticDecoupling(6, 4, **layer, mode=mode)
    x = torch.randn(2, 6, 5, 5, requires_grad=True)
    out = block(x)
    assert out.shape == (2, 4, 5, 5)
    (out * torch.randn_like(out)).sum().backward()
    assert x.grad.abs().min() > 0
    assert without_gradient(block) == []
    assert all(p.grad.abs().sum() > 0 for p in block.parameters())


def test_gradient_of_the_spatial_mode():
    """Away from the threshold it is the derivative: the weights are part of the graph."""
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(decouple, (x,))


def test_no_gradient_through_the_factors_of_the_authors():
    x = torch.randn(1, 2, 3, 4, requires_grad=True)
    out = decouple(x, 'authors')
    out.sum().backward()
    factors = (out.detach() / x.detach().repeat(1, 2, 1, 1)).chunk(2, dim=1)
    torch.testing.assert_close(x.grad, factors[0] + factors[1])


def test_norm_absorbs_the_factors_of_the_authors():
    """Why 'authors' is not the default: behind a batch norm it is the plain duplicate."""
    x = torch.randn(4, 3, 16, 16) * 2
    norm = nn.BatchNorm2d(6, affine=False, eps=1e-9)
    torch.testing.assert_close(
        norm(decouple(x, 'authors', 'batch')),
        norm(decouple(x, 'duplicate')),
        atol=1e-4,
        rtol=1e-3,
    )
    difference = norm(decouple(x, 'spatial')) - norm(decouple(x, 'duplicate'))
    assert difference.abs().mean() > 0.1


def test_the_block(layer, randomize):
    block = randomize(SemanticDecoupling(6, 4, **layer)).eval()
    x = torch.randn(2, 6, 5, 5)
    x1 = block.reduce(x)
    joined = block.norm(torch.cat([decouple(x1), block.plain(x1)], dim=1))
    torch.testing.assert_close(block(x), block.fuse(joined * joined.sigmoid()))
    assert joined.shape[1] == 12


def test_a_constant_map_is_background():
    """Nothing stands out of it, and nothing divides by zero."""
    first, second = decouple(torch.full((1, 2, 4, 4), 3.0)).chunk(2, dim=1)
    assert torch.equal(first, torch.zeros_like(first))
    assert torch.equal(second, torch.full_like(second, 1.5))


def test_errors(layer):
    x = torch.zeros(1, 4, 2, 2)
    with pytest.raises(ValueError, match="mode: found 'both', expected one of .*'spatial'"):
        SemanticDecoupling(4, 4, **layer, mode='both')
    with pytest.raises(ValueError, match="stats: found 'all', expected one of"):
        SemanticDecoupling(4, 4, **layer, stats='all')
    with pytest.raises(ValueError, match="mode: found 'none'"):
        decouple(x, 'none')
    with pytest.raises(ValueError, match="stats: found 'all'"):
        decouple(x, 'authors', 'all')
