# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""LoadImageStrict: a bad file stops the run with one line that names it."""

import cv2
import numpy as np
import pytest
from mmengine.registry import TRANSFORMS
from PIL import Image

from smallobj_mm.datasets.transforms.loading import LoadImageStrict, truncation

FORMATS = ('.jpg', '.png', '.bmp', '.webp')


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def load(path, **kwargs):
    return LoadImageStrict().transform(dict(img_path=str(path), **kwargs))


@pytest.mark.parametrize('suffix', FORMATS)
def test_loads_like_opencv(tmp_path, pixels, suffix):
    path = tmp_path / f'a{suffix}'
    cv2.imwrite(str(path), pixels)
    results = load(path, height=48, width=64)
    np.testing.assert_array_equal(results['img'], cv2.imread(str(path)))
    assert results['img_shape'] == results['ori_shape'] == (48, 64)


@pytest.mark.parametrize('suffix', FORMATS)
@pytest.mark.parametrize('kept', [0.2, 0.5, 0.99])
def test_truncated(tmp_path, pixels, suffix, kept):
    path = tmp_path / f'a{suffix}'
    cv2.imwrite(str(path), pixels)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(ValueError, match=rf'a\{suffix}: truncated image \({int(kept * len(data))}'):
        load(path)


@pytest.mark.parametrize('progressive', [False, True])
def test_thumbnail_does_not_hide_a_truncation(tmp_path, pixels, progressive):
    thumbnail, path = tmp_path / 't.jpg', tmp_path / 'a.jpg'
    cv2.imwrite(str(thumbnail), pixels[:8, :8])
    Image.fromarray(pixels).save(path, progressive=progressive)
    data = path.read_bytes()
    inner = thumbnail.read_bytes()
    segment = b'\xff\xe1' + (len(inner) + 2).to_bytes(2, 'big') + inner
    data = data[:2] + segment + data[2:]
    assert truncation(data) is None
    assert truncation(data + b'trailing bytes of a camera') is None
    assert 'end marker' in truncation(data[:-40])
    assert 'end marker' in truncation(data[: len(segment) + 20])


@pytest.mark.parametrize(
    'content, message', [(b'', r'\(0 bytes'), (b'no image at all', r'\(15 bytes, \.png')]
)
def test_undecodable(tmp_path, content, message):
    path = tmp_path / 'a.png'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf'a\.png: not readable as an image {message}') as error:
        load(path)
    assert '\n' not in str(error.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'b\.png: no such image'):
        load(tmp_path / 'b.png')
    with pytest.raises(ValueError, match='a folder, expected an image file'):
        load(tmp_path)


def test_size_differs_from_the_annotation(tmp_path, pixels):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), pixels)
    with pytest.raises(ValueError, match='image is 64x48, but its annotation says 100x48'):
        load(path, height=48, width=100)


def test_size_turned_by_exif(tmp_path, pixels):
    path = tmp_path / 'a.jpg'
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(path, exif=exif)
    with pytest.raises(ValueError, match='48x64, turned by its EXIF orientation'):
        load(path, height=48, width=64)
    assert load(path, height=64, width=48)['img_shape'] == (64, 48)


def test_options(tmp_path, pixels):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), pixels)
    transform = TRANSFORMS.build(
        dict(type='LoadImageStrict', to_float32=True, color_type='grayscale')
    )
    img = transform(dict(img_path=str(path)))['img']
    assert img.dtype == np.float32 and img.shape[:2] == (48, 64)
