# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images by their own level and spread."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.models.data_preprocessors import ImageNorm


def scene(seed, side=48):
    """An image with texture and one bright target, (1, 3, side, side)."""
    generator = torch.Generator().manual_seed(seed)
    image = 100 + 12 * torch.randn(1, 1, side, side, generator=generator)
    image[..., 20:23, 30:33] += 120
    return image.expand(1, 3, -1, -1)


@settings(max_examples=25, deadline=None)
@given(
    gain=st.floats(0.5, 200), offset=st.floats(-300, 3000), seed=st.integers(0, 99),
    compress=st.sampled_from([None, 1.0, 3.0]),
)  # fmt: skip
def test_gain_and_offset_do_not_count(gain, offset, seed, compress):
    norm = ImageNorm(compress=compress)
    image = scene(seed)
    torch.testing.assert_close(norm(gain * image + offset), norm(image), atol=2e-3, rtol=1e-3)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99))
def test_polarity_changes_the_sign_alone(seed):
    norm, image = ImageNorm(), scene(seed)
    torch.testing.assert_close(norm(255 - image), -norm(image), atol=1e-4, rtol=1e-4)


def test_level_and_spread_are_the_backgrounds():
    """A target 120 gray levels high moves the plain deviation, not this one."""
    image = scene(0)
    plain = image.clone()
    plain[..., 20:23, 30:33] -= 120
    level, spread = ImageNorm().level_and_spread(image)
    assert abs(level.item() - plain.mean().item()) < 0.5
    without = ImageNorm().level_and_spread(plain)[1].item()
    assert abs(spread.item() - without) < 0.02 * without
    assert image.std().item() > 1.1 * without


def test_even_images():
    """No noise of rounding is blown up, and nothing is divided by 0."""
    even = torch.full((1, 3, 16, 16), 77.0)
    assert (ImageNorm()(even) == 0).all()
    even[..., 3] += 0.5
    assert ImageNorm(min_spread=2.0)(even).abs().max() < 0.3


def test_blocks_of_compression_stay_small():
    """An even sky of one gray level of noise is not blown up to texture with targets."""
    noise = torch.randn(1, 1, 48, 48, generator=torch.Generator().manual_seed(0)).expand(
        -1, 3, -1, -1
    )
    assert ImageNorm()(100 + noise).std() < 0.3


def test_order_of_levels_stays_and_peaks_are_compressed():
    image = torch.cat([scene(1)[:, :1], scene(1)[:, :1]], dim=3)
    image[..., 20, 30] = 10_000.0
    z, soft = ImageNorm(compress=None)(image), ImageNorm()(image)
    order = z.flatten().argsort()
    assert (soft.flatten()[order].diff() >= 0).all()
    assert z.max() > 100 and soft.max() < 20
    small = z.abs() < 1
    torch.testing.assert_close(soft[small], z[small], atol=0.02, rtol=0)


def test_images_of_a_batch_do_not_meet():
    images = torch.cat([scene(1), 3 * scene(2) + 40])
    torch.testing.assert_close(
        ImageNorm()(images), torch.cat([ImageNorm()(i[None]) for i in images])
    )


@pytest.mark.parametrize(
    'options', [dict(clip=0.5), dict(rounds=-1), dict(min_spread=0), dict(compress=0.0)]
)
def test_options(options):
    with pytest.raises(ValueError, match='expected clip >= 1, rounds >= 0 and the others above 0'):
        ImageNorm(**options)
