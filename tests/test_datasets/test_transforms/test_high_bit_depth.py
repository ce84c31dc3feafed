# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images of more than 8 bits, such as raw infrared ones: not cut to their upper bits in silence."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from smallobj_mm.datasets.transforms import high_bit_depth as module
from smallobj_mm.datasets.transforms.high_bit_depth import to_eight_bits
from smallobj_mm.datasets.transforms.loading import LoadImageStrict


def load(path, **options):
    return LoadImageStrict(**options).transform(dict(img_path=str(path)))['img']


@pytest.fixture
def thermal():
    """Levels of a thermal camera: 7000 to 9040."""
    return np.linspace(7000, 9040, 48 * 64).reshape(48, 64).astype(np.uint16)


@pytest.mark.parametrize('suffix', ['.png', '.tif', '.jp2', '.pgm'])
def test_an_error_unless_told_otherwise(tmp_path, thermal, suffix):
    path = tmp_path / f'a{suffix}'
    assert cv2.imwrite(str(path), thermal)
    message = rf"a\{suffix}: an image of uint16, values 7000 to 9040, expected 8 bits; .*='scale'"
    with pytest.raises(ValueError, match=message) as error:
        load(path)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('color_type', ['color', 'grayscale', 'color_ignore_orientation'])
def test_scaled_from_its_own_range(tmp_path, thermal, suffix, color_type):
    path = tmp_path / f'a{suffix}'
    cv2.imwrite(str(path), thermal)
    img = load(path, high_bit_depth='scale', color_type=color_type)
    assert img.dtype == np.uint8
    assert img.shape == ((48, 64) if color_type == 'grayscale' else (48, 64, 3))
    gray = img if img.ndim == 2 else img[..., 0]
    assert np.array_equal(np.unique(gray), np.arange(256)) and (np.diff(gray.ravel()) >= 0).all()


def test_color_and_float(tmp_path, thermal):
    color = np.stack([thermal, thermal + 500, thermal - 500], axis=2)
    cv2.imwrite(str(tmp_path / 'a.png'), color)
    img = load(tmp_path / 'a.png', high_bit_depth='scale')
    expected = (color - 6500.0) / (9540 - 6500) * 255
    assert np.abs(img - expected).max() <= 0.5 + 1e-9  # one range for all channels
    gray = load(tmp_path / 'a.png', high_bit_depth='scale', color_type='grayscale')
    assert np.array_equal(gray, cv2.cvtColor(img, cv2.COLOR_BGR2GRAY))
    cv2.imwrite(str(tmp_path / 'b.tif'), (thermal / 9040).astype(np.float32))
    assert np.ptp(load(tmp_path / 'b.tif', high_bit_depth='scale')) == 255
    with pytest.raises(ValueError, match=r'float32, values 0\.774\d* to 1, expected 8 bits'):
        load(tmp_path / 'b.tif')
    cv2.imwrite(str(tmp_path / 'c.tif'), np.full((4, 4), np.nan, np.float32))
    with pytest.raises(ValueError, match=r'c\.tif: .*values nan to nan, expected finite values'):
        load(tmp_path / 'c.tif', high_bit_depth='scale')


def test_unchanged_stays_unchanged(tmp_path, thermal):
    cv2.imwrite(str(tmp_path / 'a.png'), thermal)
    assert np.array_equal(load(tmp_path / 'a.png', color_type='unchanged'), thermal)


def test_eight_bits_or_fewer_are_ordinary(tmp_path, thermal, monkeypatch):
    """As OpenCV gives them, decoded once."""
    eight = (thermal // 40).astype(np.uint8)
    for suffix in ('.png', '.jpg', '.bmp', '.webp', '.tif'):
        cv2.imwrite(str(tmp_path / f'a{suffix}'), eight)
    Image.fromarray(eight > 128).save(tmp_path / 'one_bit.png')
    Image.fromarray(eight).convert('P', palette=Image.Palette.ADAPTIVE, colors=16).save(
        tmp_path / 'four_bits.png', bits=4
    )
    expected = {path: cv2.imread(str(path)) for path in tmp_path.iterdir()}
    decoded = []
    original = cv2.imdecode
    monkeypatch.setattr(cv2, 'imdecode', lambda *args: decoded.append(1) or original(*args))
    for path, image in expected.items():
        for option in ('error', 'scale'):
            assert np.array_equal(load(path, high_bit_depth=option), image)
    # Only a TIFF does not say in its first bytes how deep it is.
    assert len(decoded) == 2 * len(expected) + 2


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([np.uint16, np.int32, np.float32, np.float64]),
    st.integers(0, 60000),
    st.integers(0, 5000),
    st.integers(0, 2**32 - 1),
)
def test_scaling_keeps_order_and_ends(dtype, low, span, seed):
    values = np.random.default_rng(seed).integers(low, low + span + 1, 50).astype(dtype)
    scaled = to_eight_bits(values)
    assert scaled.dtype == np.uint8 and scaled.min() == 0
    assert scaled.max() == (255 if np.ptp(values) else 0)
    assert (np.diff(scaled[np.argsort(values)].astype(int)) >= 0).all()
    if span <= 255:  # no level is lost
        assert len(np.unique(scaled)) == len(np.unique(values))


def test_bad_option():
    with pytest.raises(ValueError, match="high_bit_depth is 'clip', expected one of error, scale"):
        LoadImageStrict(high_bit_depth='clip')
    assert module.CHOICES == ('error', 'scale')
