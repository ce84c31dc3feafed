# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Sizes of images from their headers: as OpenCV decodes them, and nothing else is decoded."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from smallobj_mm.datasets.files import read_image_size
from smallobj_mm.datasets.masks import read_mask
from smallobj_mm.datasets.transforms.loading import LoadImageStrict
from smallobj_mm.evaluation.irstd_maps import read_probability_map
from smallobj_mm.utils.image_headers import read_header

PIXELS = np.random.default_rng(0).integers(0, 255, (20, 36, 3), dtype=np.uint8)


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(width, height, color=0, *extra):
    """A PNG of zeros; what is missing of its rows does not matter before decoding."""
    header = struct.pack('>IIBBBBB', width, height, 8, color, 0, 0, 0)
    rows = zlib.compress(b'\0' * ((width + 1) * min(height, 64)))
    parts = [chunk(b'IHDR', header), *extra, chunk(b'IDAT', rows), chunk(b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def pillow(name, orientation=None, **options):
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, name, **(dict(exif=exif) if orientation else {}), **options)
    return file.getvalue()


def opencv(suffix, image=PIXELS, *options):
    return cv2.imencode(suffix, image, *options)[1].tobytes()


COMPLETE = {
    'jpeg': pillow('JPEG'),
    'jpeg progressive': pillow('JPEG', progressive=True),
    'png': pillow('PNG'),
    'png 16': opencv('.png', PIXELS.astype(np.uint16)),
    'bmp': pillow('BMP'),
    'tiff': pillow('TIFF'),
    'tiff big': pillow('TIFF', big_tiff=True),
    'tiff float64': opencv('.tiff', PIXELS.astype(np.float64)),
    'webp lossy': pillow('WEBP'),
    'webp lossless': pillow('WEBP', lossless=True),
    'webp extended': pillow('WEBP', orientation=1),
    'gif': pillow('GIF'),
    'ppm': pillow('PPM'),
    'pgm': b'P5 # a comment 9 9\n#another\n36 # its width\n20\n255\n' + bytes(36 * 20),
    'jpeg 2000': pillow('JPEG2000'),
    'jpeg 2000 stream': pillow('JPEG2000', no_jp2=True),
}


@pytest.mark.parametrize('name', COMPLETE)
def test_size_as_decoded(name):
    data = COMPLETE[name]
    header = read_header(io.BytesIO(data))
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
    assert cv2.imdecode(np.frombuffer(data, np.uint8), flags).shape[:2] == (20, 36)
    assert (header.width, header.height, header.sideways) == (36, 20, False)
    assert header.upright_size == (36, 20)


@pytest.mark.parametrize('name', ['JPEG', 'PNG', 'TIFF', 'WEBP'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation_as_opencv_turns_it(tmp_path, name, orientation):
    path = tmp_path / 'image'
    path.write_bytes(pillow(name, orientation))
    height, width = LoadImageStrict()(dict(img_path=str(path)))['img_shape']
    assert read_image_size(str(path)) == (width, height)


@pytest.mark.parametrize('name', COMPLETE)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damage_is_a_value_error(name, data):
    broken = bytearray(COMPLETE[name])
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, min(len(broken), 200) - 1))] = data.draw(
            st.integers(0, 255)
        )
    broken = broken[: data.draw(st.integers(0, len(broken)))]
    try:
        header = read_header(io.BytesIO(bytes(broken)), max_pixels=10_000)
    except ValueError as error:
        assert '\n' not in str(error) and len(str(error)) < 300
    else:
        assert 0 < header.width * header.height <= 10_000


RGBE = b'#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 9000 +X 9000\n' + b'\x02\x02\x23\x28' * 9000


@pytest.mark.parametrize(
    'data, message',
    [
        (RGBE, r'found 23 3f 52 41 .* expected an image as JPEG, PNG'),
        (opencv('.hdr', PIXELS.astype(np.float32)), 'expected an image as JPEG'),
        (opencv('.ras'), 'expected an image as JPEG'),
        (opencv('.pfm', PIXELS.astype(np.float32)), 'expected an image as JPEG'),
        (opencv('.pam'), 'expected an image as JPEG'),
        (png(100_000, 100_000), '100000x100000 px, expected at most 536870912 pixels'),
        (png(0, 5), '0x5 px, expected 1x1 or more'),
        (b'P6 99999 99999 255 ', '99999x99999 px, expected at most'),
        (b'P6 9999999999 1 255 ', 'for a side, expected a number'),
        (b'\xff\xd8\xff\xd9', 'no frame header'),
        (b'II*\0\x08\0\0\0\x01\0\0\0', 'cut short or damaged'),
    ],
)
@pytest.mark.parametrize('read', [read_image_size, read_mask, read_probability_map, 'loader'])
def test_refused_before_decoding(tmp_path, monkeypatch, data, message, read):
    def decode(*_):
        raise AssertionError('decoded')

    monkeypatch.setattr(cv2, 'imdecode', decode)
    path = tmp_path / 'a.png'
    path.write_bytes(data)
    if read == 'loader':
        loader = LoadImageStrict(high_bit_depth='scale')
        read = lambda name: loader(dict(img_path=name))  # noqa: E731
    with pytest.raises(ValueError, match=rf'a\.png: .*({message}|truncated|end marker)') as error:
        read(str(path))
    assert '\n' not in str(error.value) and len(str(error.value)) < 500


def bomb(kind, prefix):
    return chunk(kind, prefix + zlib.compress(b'\0' * (80 << 20), 9))


@pytest.mark.parametrize('kind, prefix', [(b'zTXt', b'a\0\0'), (b'iCCP', b'a\0\0')])
@pytest.mark.parametrize('color', [0, 3])
def test_compressed_chunks_of_masks(tmp_path, kind, prefix, color):
    palette = (chunk(b'PLTE', bytes(6)),) if color == 3 else ()
    path = tmp_path / 'a.png'
    path.write_bytes(png(30, 20, color, bomb(kind, prefix), *palette))
    assert read_image_size(str(path)) == (30, 20)
    try:
        assert read_mask(str(path)).shape == (20, 30)
    except ValueError as error:
        assert 'a.png: not readable as a mask' in str(error) and '\n' not in str(error)


def test_option_of_the_loader(tmp_path):
    path = tmp_path / 'a.png'
    path.write_bytes(COMPLETE['png'])
    assert LoadImageStrict(max_pixels=720)(dict(img_path=str(path)))['img_shape'] == (20, 36)
    with pytest.raises(ValueError, match='36x20 px, expected at most 719'):
        LoadImageStrict(max_pixels=719)(dict(img_path=str(path)))
    with pytest.raises(ValueError, match='36x20 px, expected at most 719'):
        read_mask(str(path), max_pixels=719)


def npy(header, data=b''):
    text = header.encode().ljust(117) + b'\n'
    return b'\x93NUMPY\x01\x00' + struct.pack('<H', len(text)) + text + data


@pytest.mark.parametrize(
    'data',
    [
        b'',
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4000000, 4000000), }"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, -2), }"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", b'\0' * 15),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }", b'\0' * 64),
        npy("{'descr': 'zz', 'fortran_order': False, 'shape': (2, 2), }"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2"),
        npy('(((((((((('),
        npy("'''"),
        npy('[' * 100),
        b'\x93NUMPY\x09\x00',
        b'PK\x03\x04' + bytes(40),
        b'\x80\x04N.',
    ],
)
def test_broken_arrays(tmp_path, data):
    path = tmp_path / 'a.npy'
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r'a\.npy: ') as error:
        read_probability_map(str(path))
    assert '\n' not in str(error.value) and len(str(error.value)) < 400


def test_arrays(tmp_path, monkeypatch):
    path = str(tmp_path / 'a.npy')
    np.save(path, np.array([[[0.25, 1.0]]]))
    assert read_probability_map(path).tolist() == [[0.25, 1.0]]
    monkeypatch.setattr('smallobj_mm.evaluation.irstd_maps.MAX_PIXELS', 1)
    with pytest.raises(ValueError, match=r'a\.npy: 2 values, expected at most 1'):
        read_probability_map(path)
    np.savez(tmp_path / 'b.npz', a=np.zeros(3))
    (tmp_path / 'b.npz').rename(path)
    with pytest.raises(ValueError, match=r'a\.npy: '):
        read_probability_map(path)
    with pytest.raises(FileNotFoundError, match=r'c\.npy: no such file'):
        read_probability_map(str(tmp_path / 'c.npy'))
