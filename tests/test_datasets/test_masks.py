# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""One mask in every coding is one mask."""

import cv2
import numpy as np
import pytest
from PIL import Image

from smallobj_mm.datasets.label_decoupling import decouple_label
from smallobj_mm.datasets.masks import binarize_mask, read_mask


@pytest.fixture
def truth():
    mask = np.zeros((30, 41), np.uint8)
    mask[4:8, 5:9] = 1
    mask[20:22, 33:40] = 1
    return mask


def palette_image(mask, colors):
    image = Image.fromarray(mask)
    image.putpalette([value for color in colors for value in color])
    return image


def gray(mask, top):
    """Targets with soft edges, whose outer pixels are below half of the peak."""
    soft = cv2.dilate(mask, np.ones((3, 3), np.uint8)) * (top // 4)
    return np.maximum(soft, mask * top)


CODINGS = {
    '0/1': lambda m: Image.fromarray(m),
    '0/255': lambda m: Image.fromarray(m * 255),
    '1 bit': lambda m: Image.fromarray(m > 0),
    'gray': lambda m: Image.fromarray(gray(m, 255)),
    'faint gray': lambda m: Image.fromarray(gray(m, 100)),
    '16 bit': lambda m: Image.fromarray(m.astype(np.uint16) * 4000),
    'RGB': lambda m: Image.fromarray(np.stack([m * 0, m * 255, m * 0], 2)),
    'RGBA': lambda m: Image.fromarray(np.stack([m * 255] * 3 + [m * 0 + 255], 2)),
    'gray with alpha': lambda m: Image.fromarray(np.stack([m * 255, m * 0 + 255], 2)),
    'palette': lambda m: palette_image(m, [(0, 0, 0), (128, 0, 0)]),
    'faint palette': lambda m: palette_image(m, [(0, 0, 0), (1, 1, 1)]),
    'palette from white to black': lambda m: palette_image(1 - m, [(255, 255, 255), (0, 0, 0)]),
    'palette without black': lambda m: palette_image(m, [(120, 120, 120), (180, 120, 120)]),
}


@pytest.mark.parametrize('coding', CODINGS)
def test_codings(tmp_path, truth, coding):
    CODINGS[coding](truth).save(tmp_path / 'mask.png')
    found = read_mask(str(tmp_path / 'mask.png'))
    assert found.dtype == np.uint8
    assert np.array_equal(found, truth)


@pytest.mark.parametrize('ending', ['bmp', 'tif', 'jpg'])
def test_other_files(tmp_path, truth, ending):
    big = truth.repeat(8, 0).repeat(8, 1)
    cv2.imwrite(str(tmp_path / f'mask.{ending}'), big * 255)
    assert np.array_equal(read_mask(str(tmp_path / f'mask.{ending}')), big)


@pytest.mark.parametrize('mode', ['authors', 'exact'])
def test_arrays_give_the_same_maps(truth, mode):
    expected = decouple_label(truth, mode)
    for mask in (
        truth * 255,
        truth > 0,
        truth * 0.25,
        gray(truth, 200),
        truth.astype(np.int64),
        np.stack([truth * 255] * 3, 2),
        truth[..., None],
    ):
        for one, other in zip(expected, decouple_label(mask, mode)):
            assert np.array_equal(one, other)


def test_ignored_pixels_do_not_count():
    mask = np.array([[0, 1, 255], [255, 0, 1]], np.uint8)
    assert binarize_mask(mask, ignore_index=255).tolist() == [[0, 1, 0], [0, 0, 1]]
    assert binarize_mask(mask).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert not binarize_mask(np.zeros((3, 4))).any()
    assert binarize_mask(np.zeros((0, 4), np.uint8)).shape == (0, 4)


def test_errors(tmp_path, truth):
    with pytest.raises(ValueError, match=r'shape \(3,\), expected \(H, W\)'):
        binarize_mask(np.zeros(3))
    with pytest.raises(ValueError, match='nan'):
        binarize_mask(np.full((2, 2), np.nan))
    path = tmp_path / 'a.png'
    with pytest.raises(FileNotFoundError, match='a.png: no such mask'):
        read_mask(str(path))
    with pytest.raises(ValueError, match='a folder'):
        read_mask(str(tmp_path))
    palette_image(truth, [(0, 0, 0), (9, 9, 9)]).save(path)
    whole = path.read_bytes()
    for content, message in (
        (whole[:-20], 'truncated mask'),
        (b'', 'not readable as a mask .0 bytes'),
        (b'hello', 'not readable as a mask'),
        (whole[:40] + b'\0' * 30 + whole[70:], 'not readable as a mask'),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message) as caught:
            read_mask(str(path))
        assert str(path) in str(caught.value) and '\n' not in str(caught.value)
