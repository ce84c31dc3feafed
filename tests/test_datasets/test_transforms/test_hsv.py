# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.datasets.transforms import MultiplicativeHSV


def with_gains(hue, saturation, value):
    transform = MultiplicativeHSV()
    transform._draw = lambda: np.array([hue, saturation, value])
    return transform


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(*[st.integers(0, 255)] * 3),
    st.floats(0.985, 1.015),
    st.floats(0.3, 1.7),
    st.floats(0.6, 1.4),
)
def test_gains_multiply_hue_saturation_and_value(bgr, hue, saturation, value):
    img = np.full((2, 2, 3), bgr, dtype=np.uint8)
    out = with_gains(hue, saturation, value)(dict(img=img))['img']
    h, s, v = colorsys.rgb_to_hsv(*(channel / 255 for channel in bgr[::-1]))
    expected = colorsys.hsv_to_rgb(h * hue % 1, min(s * saturation, 1), min(v * value, 1))
    # OpenCV keeps the hue in steps of 2 degrees, and here it is rounded twice.
    np.testing.assert_allclose(out[0, 0, ::-1], np.array(expected) * 255, atol=20)


def test_gray_stays_gray(seeded):
    gray = np.random.default_rng(0).integers(0, 256, (8, 8, 1), dtype=np.uint8)
    for _ in range(20):
        out = MultiplicativeHSV()(dict(img=np.repeat(gray, 3, axis=2)))['img']
        assert (out == out[..., :1]).all()


@pytest.mark.parametrize('shape', [(4, 5), (4, 5, 1)])
def test_one_channel_gets_the_gain_of_the_value(shape):
    img = np.full(shape, 100, dtype=np.uint8)
    out = with_gains(1.01, 1.5, 1.2)(dict(img=img))['img']
    assert out.shape == shape and (out == 120).all() and (img == 100).all()


def test_unit_gains_keep_the_picture(seeded):
    img = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    out = MultiplicativeHSV(0, 0, 0)(dict(img=img))['img']
    assert np.abs(out.astype(int) - img).max() <= 6


def test_seeded_and_in_range(seeded):
    draws = np.array([MultiplicativeHSV()._draw() for _ in range(500)])
    np.testing.assert_allclose(draws.min(axis=0), [0.985, 0.3, 0.6], atol=0.02)
    np.testing.assert_allclose(draws.max(axis=0), [1.015, 1.7, 1.4], atol=0.02)
    seeded(3)
    first = MultiplicativeHSV()._draw()
    seeded(3)
    np.testing.assert_array_equal(MultiplicativeHSV()._draw(), first)


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match='a.png is float32'):
        MultiplicativeHSV()(dict(img=np.zeros((2, 2, 3), np.float32), img_path='a.png'))
    with pytest.raises(ValueError, match='4 channels'):
        MultiplicativeHSV()(dict(img=np.zeros((2, 2, 4), np.uint8)))
    with pytest.raises(ValueError, match='value is 1.2'):
        MultiplicativeHSV(value=1.2)
