# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Network of the interior-boundary fusion head."""

import pytest
import torch
import torch.nn.functional as F

from smallobj_mm.models.decode_heads import InteriorBoundaryFusionHeadModule

CHANNELS = (4, 6, 10)


def streams(sizes=((16, 24), (8, 12), (4, 6))) -> tuple:
    """Maps of two streams."""
    return tuple(
        tuple(torch.randn(2, c, *size) for c, size in zip(CHANNELS, sizes)) for _ in range(2)
    )


def test_as_defined(randomize):
    """Enlarged first and convolved then, as the definition has it: the same numbers."""
    module = randomize(InteriorBoundaryFusionHeadModule(CHANNELS, channels=4)).double().eval()
    inputs = [[x.double() for x in stream] for stream in streams()]

    def up(x):
        return F.interpolate(x, (16, 24), mode='bilinear', align_corners=False)

    sides = []
    for stream, laterals in zip(inputs, (module.interior_laterals, module.boundary_laterals)):
        sides.append([lateral(up(x)) for x, lateral in zip(stream, laterals)])
    fused = [
        lateral(torch.cat(pair, dim=1)) for lateral, *pair in zip(module.fusion_laterals, *sides)
    ]
    interior = module.interior_final(torch.cat(sides[0][::-1], dim=1))
    boundary = module.boundary_final(torch.cat(sides[1][::-1], dim=1))
    fusion = module.fusion_final(torch.cat(fused[::-1], dim=1))
    mask = module.mask_logit(torch.cat([interior, boundary, fusion], dim=1))
    expected = (module.interior_logit(interior), module.boundary_logit(boundary), mask)
    for out, wanted in zip(module(inputs), expected):
        torch.testing.assert_close(out, wanted)


@pytest.mark.parametrize('channels', [4, 5])
@pytest.mark.parametrize('step', [1, 2])
def test_shapes(channels, step):
    """Odd sizes, other widths than the finest level's, and several pixels a position."""
    module = InteriorBoundaryFusionHeadModule(CHANNELS, channels=channels, depth_to_space=step)
    outs = module(streams(((13, 21), (7, 11), (4, 6))))
    assert [out.shape for out in outs] == [(2, 1, 13 * step, 21 * step)] * 3


def test_wrong_streams():
    module = InteriorBoundaryFusionHeadModule(CHANNELS, channels=4)
    with pytest.raises(ValueError, match=r'streams of \[2, 2\] levels, expected \[3, 3\]'):
        module([stream[:2] for stream in streams()])
    with pytest.raises(ValueError, match=r'streams of \[3\] levels'):
        module(streams()[:1])
    with pytest.raises(ValueError, match='in_channels is empty'):
        InteriorBoundaryFusionHeadModule(())
