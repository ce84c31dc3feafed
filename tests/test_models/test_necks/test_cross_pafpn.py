# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch import nn

from smallobj_mm.models.layers.semantic_decoupling import DECOUPLING_MODES
from smallobj_mm.models.necks import CrossPAFPN

CHANNELS = {3: (12, 20, 28), 4: (8, 12, 20, 28)}


def maps(levels: int = 3, size: tuple = (64, 96), batch: int = 2) -> list[torch.Tensor]:
    """Backbone maps of an image of a given size, finest first."""
    return [
        torch.randn(batch, c, size[0] // s, size[1] // s)
        for c, s in zip(CHANNELS[levels], (4, 8, 16, 32)[-levels:])
    ]


def small(levels: int = 3, **options) -> CrossPAFPN:
    return CrossPAFPN(CHANNELS[levels], widen_factor=0.0625, **options)


def output_sizes(outs) -> list[tuple]:
    return [tuple(o.shape[-2:]) for o in outs]


@pytest.mark.parametrize('levels', [3, 4])
@pytest.mark.parametrize('cross_links', [True, False])
@pytest.mark.parametrize('out_channels, num_outs', [(None, None), (24, None), (24, 6), (None, 5)])
def test_outputs(levels, cross_links, out_channels, num_outs, without_gradient):
    neck = small(levels, cross_links=cross_links, out_channels=out_channels, num_outs=num_outs)
    x = maps(levels, (128, 64))
    outs = neck(x)
    widths = [8, 8, 16, 32][-levels:]
    count = num_outs or levels
    widths = [out_channels or w for w in widths + [32] * (count - levels)]
    assert [o.shape[1] for o in outs] == widths == list(neck.out_channels)
    first = 4 if levels == 4 else 8
    expected = [(-(-128 // (first << i)), -(-64 // (first << i))) for i in range(count)]
    assert output_sizes(outs) == expected
    sum((o * torch.randn_like(o)).sum() for o in outs).backward()
    assert without_gradient(neck) == []


@pytest.mark.parametrize('mode', DECOUPLING_MODES)
@pytest.mark.parametrize('levels', [3, 4])
def test_decoupling_modes(mode, levels, without_gradient):
    neck = small(levels, decoupling=mode)
    outs = neck(maps(levels))
    sum((o * torch.randn_like(o)).sum() for o in outs).backward()
    assert without_gradient(neck) == []
    assert all(p.grad.abs().sum() > 0 for p in neck.bottom_up_16.parameters())


def test_decoupling_options_arrive():
    block = small(decoupling='authors', decoupling_stats='batch').bottom_up_16.fuse
    assert (block.mode, block.stats) == ('authors', 'batch')


def test_size_of_the_published_neck():
    """Parameters by hand from the specification: k * k * in * out, and two of each norm."""

    def conv(i, o, k=1):
        return k * k * i * o + 2 * o

    def elan(i, h, p, o):
        chain = conv(h, p, 3) + 3 * conv(p, p, 3)
        return 2 * conv(i, h) + chain + (conv(2 * h + 4 * p, o) if o else 0)

    def down(i, o):
        return 2 * conv(i, o) + conv(o, o, 3)

    expected = conv(512, 256) + conv(1024, 1024)  # SPPF
    expected += conv(1024, 512) * 2 + conv(512, 512, 3) * 2 + conv(512, 512) + conv(2048, 512)
    expected += conv(1024, 512)  # SPPCSPC
    expected += conv(512, 256) + conv(256, 256)  # u, l
    expected += conv(128, 256, 3) + conv(256, 512, 3) + conv(256, 512, 3)  # d3, d3', d4
    expected += elan(768, 256, 128, 256)
    expected += conv(256, 128) * 3 + conv(128, 128)  # v, w, q, r
    expected += elan(512, 128, 64, 128)
    expected += down(128, 128) + conv(128, 512, 3) + conv(256, 512, 3)  # a, b, e, f
    expected += elan(512, 256, 128, None)
    expected += conv(1024, 256) + conv(256, 256) + 2 * 768 + conv(768, 256)  # decoupling
    expected += down(256, 256) + elan(3072, 512, 256, 512)
    neck = CrossPAFPN()
    assert sum(p.numel() for p in neck.parameters()) == expected
    assert neck.out_channels == (128, 256, 512)


def test_cross_links_reach_over_a_scale():
    """C3 moves the last level by links of its own, not only through the /16 node."""

    def change_at_32(neck):
        neck.eval()
        x = maps()
        with torch.no_grad():
            before = neck(x)[-1]
            x[1] = x[1] + torch.randn_like(x[1])
            # A dead /16 path: what is left are the links that skip it.
            return (neck(x)[-1] - before).abs().max()

    def cut(neck):
        for name in ('lateral_c4', 'c4_to_8'):
            if hasattr(neck, name):
                nn.init.zeros_(getattr(neck, name).conv.weight)
        return neck

    assert change_at_32(cut(small())) > 1e-6
    assert change_at_32(cut(small(cross_links=False))) == 0


@torch.no_grad()
def test_every_input_reaches_every_output(randomize):
    for levels in (3, 4):
        neck = randomize(small(levels)).eval()
        x = maps(levels)
        before = neck(x)
        for level in range(levels):
            changed = [m + (i == level) * torch.randn_like(m) for i, m in enumerate(x)]
            assert all((a - b).abs().max() > 0 for a, b in zip(neck(changed), before))


@torch.no_grad()
def test_batch_independence(randomize):
    """By default an image's result does not depend on its neighbors."""
    neck = randomize(small()).eval().double()
    x = [m.double() for m in maps(batch=3)]
    alone = neck([m[1:2] for m in x])
    for a, b in zip(neck(x), alone):
        torch.testing.assert_close(a[1:2], b, atol=1e-9, rtol=1e-9)


def test_widths_are_multiples_of_eight():
    for factor in (0.03, 0.11, 0.33, 0.5, 1.25):
        widths = CrossPAFPN(CHANNELS[3], widen_factor=factor).out_channels
        assert all(w % 8 == 0 and w >= x * factor for w, x in zip(widths, (128, 256, 512)))


@pytest.mark.parametrize('levels', [3, 4])
@pytest.mark.parametrize('cross_links', [True, False])
def test_a_plan_of_ones_own(levels, cross_links, without_gradient):
    """Widths, chains and links as given, in a network that works and learns."""
    widths = (6, 10, 14, 22)[-levels:]
    neck = CrossPAFPN(
        CHANNELS[levels],
        widths=widths,
        num_convs=2,
        link_ratio=0.25,
        cross_links=cross_links,
        decoupling='none',
    )
    outs = neck(maps(levels))
    assert tuple(o.shape[1] for o in outs) == neck.out_channels == widths
    blocks = [neck.top_down_16, neck.top_down_8, neck.bottom_up_16, neck.bottom_up_32]
    assert {len(block.chain) for block in blocks} == {2}
    if cross_links:
        links = (neck.c3_to_32, neck.c4_to_32, neck.n3_to_32, neck.m4_to_32)
        assert {link.out_channels for link in links} == {8}  # a quarter of 22, rounded up
    sum((o * torch.randn_like(o)).sum() for o in outs).backward()
    assert without_gradient(neck) == []


def test_the_published_plan_is_that_of_the_widths():
    """Named in full, it gives the same network."""
    plain, named = CrossPAFPN(), CrossPAFPN(widths=(128, 256, 512), num_convs=4, link_ratio=1)
    shapes = [{n: p.shape for n, p in neck.state_dict().items()} for neck in (plain, named)]
    assert shapes[0] == shapes[1]


def test_errors_are_one_line():
    cases = [
        (lambda: small(widths=(8, 8)), r'widths: found \[8, 8\], expected 3 even numbers'),
        (lambda: small(widths=(8, 8, 7)), r'widths: found \[8, 8, 7\]'),
        (lambda: CrossPAFPN((1, 2)), 'in_channels: found 2 levels, expected 3 .* or 4'),
        (lambda: CrossPAFPN((1, 2, 3, 4, 5)), 'in_channels: found 5 levels'),
        (lambda: small(num_outs=2), 'num_outs: found 2, expected at least the 3 levels'),
        (lambda: small(decoupling='x'), "mode: found 'x'"),
        (lambda: small()(maps(4)), 'inputs: found 4 maps, expected 3; .*out_indices'),
        (
            lambda: small()(maps(size=(64, 64))[:2] + [torch.zeros(2, 28, 3, 2)]),
            r'found maps of .*\(3, 2\).*pad_size_divisor',
        ),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message) as error:
            call()
        assert '\n' not in str(error.value)
