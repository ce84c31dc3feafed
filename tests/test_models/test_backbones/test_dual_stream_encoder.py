# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""DualStreamEncoder."""

import pytest
import torch

from smallobj_mm.models.backbones import DualStreamEncoder

SMALL = dict(channels=(4, 8, 12), num_blocks=(1, 2, 1))


@pytest.mark.parametrize('size', [(32, 48), (25, 33), (7, 5)])
def test_levels(size):
    """Two streams that share nothing; sides halved, rounded up."""
    model = DualStreamEncoder(**SMALL)
    outs = model(torch.randn(2, 3, *size))
    assert len(outs) == 2
    for stream in outs:
        for level, (x, channels) in enumerate(zip(stream, (4, 8, 12))):
            step = 2**level
            assert x.shape == (2, channels, -(-size[0] // step), -(-size[1] // step))
    interior, boundary = model.streams
    assert not {id(p) for p in interior.parameters()} & {id(p) for p in boundary.parameters()}
    assert not torch.equal(outs[0][0], outs[1][0])


def test_one_stream_is_any_backbone():
    outs = DualStreamEncoder(num_streams=1, **SMALL)(torch.randn(1, 3, 16, 16))
    assert [x.shape[1] for x in outs] == [4, 8, 12]


@pytest.mark.parametrize('size', [(32, 48), (25, 33)])
def test_space_to_depth(size):
    """Half the resolution; every pixel counts."""
    model = DualStreamEncoder(space_to_depth=2, **SMALL)
    image = torch.randn(1, 3, *size, requires_grad=True)
    outs = model(image)
    assert outs[0][0].shape[2:] == (-(-size[0] // 2), -(-size[1] // 2))
    sum(x.square().sum() for stream in outs for x in stream).backward()
    assert (image.grad.abs().sum(1) > 0).all()


def test_gray_images_and_number_of_blocks():
    model = DualStreamEncoder(in_channels=1, **SMALL)
    assert model(torch.randn(1, 1, 16, 16))[0][0].shape == (1, 4, 16, 16)
    assert [len(level) for level in model.streams[0].levels] == [1, 2, 1]


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(channels=(4, 8), num_blocks=(1,)), 'channels has 2 levels and num_blocks 1'),
        (dict(channels=(), num_blocks=()), 'at least one'),
        (dict(num_streams=0), 'num_streams is 0'),
        (dict(space_to_depth=0), 'space_to_depth is 0'),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        DualStreamEncoder(**options)


def test_without_attention():
    """The option reaches every block."""
    assert [name for name in DualStreamEncoder(**SMALL).state_dict() if 'attention' in name]
    plain = DualStreamEncoder(attention=False, **SMALL)
    assert not [name for name in plain.state_dict() if 'attention' in name]
