# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Sizes of images from their headers, in every format that is decoded.

A file of a few kilobytes may decode to gigabytes, so its size is read before. Pillow's readers do
not serve here: they refuse TIFFs that OpenCV reads, decode text chunks on the way, allocate the
canvas of a WebP, and may disagree with OpenCV about the size.
"""

import struct
from typing import IO, Callable, Dict, NamedTuple, Optional, Tuple

from PIL import Image

from smallobj_mm.utils.errors import UserError

#: Pixels of the largest image that is decoded: a square of 23,170 px, 1.6 GB in three channels.
MAX_PIXELS = 1 << 29

#: Most steps through the parts of a file before its size must be known.
_MAX_PARTS = 10_000
_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
#: Frame headers of JPEG: SOF0 to SOF15 without DHT, JPG and DAC.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PLAIN_JPEG_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
_TIFF_TYPES = {1: 'B', 3: 'H', 4: 'I', 16: 'Q'}

_Size = Tuple[int, int, int]


class ImageHeader(NamedTuple):
    """What the header of an image says.

    Attributes:
        format (str): 'JPEG', 'PNG', 'BMP', 'TIFF', 'WebP', 'GIF', 'PNM' or 'JPEG 2000'.
        width (int): Width in px, as stored.
        height (int): Height in px, as stored.
        sideways (bool): Whether OpenCV swaps the sides when it turns the image upright.
    """

    format: str
    width: int
    height: int
    sideways: bool

    @property
    def upright_size(self) -> Tuple[int, int]:
        """Width and height in px of the image that OpenCV turned upright."""
        size = (self.width, self.height)
        return size[::-1] if self.sideways else size


def read_header(file: IO[bytes], max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Read the size of an image without decoding it.

    Args:
        file (IO[bytes]): The file, seekable, at its start.
        max_pixels (int): Pixels of the largest image that is accepted.

    Returns:
        ImageHeader: Format and size.

    Raises:
        UserError: If the format is none of those whose size is known before decoding, the header
            is damaged, or the image is larger. The message names no file.
    """
    start = file.read(16)
    name = _format_of(start)
    if name is None:
        raise UserError(
            f'found {start[:8].hex(" ") or "no bytes"} at its start, expected an image as '
            f'{", ".join(_READERS)}'
        )
    file.seek(0)
    try:
        width, height, orientation = _READERS[name](file)
    except (struct.error, IndexError) as error:
        raise UserError(f'the header of the {name} is cut short or damaged') from error
    if width < 1 or height < 1:
        raise UserError(f'the {name} says that it is {width}x{height} px, expected 1x1 or more')
    if width * height > max_pixels:
        raise UserError(
            f'the {name} says that it is {width}x{height} px, expected at most {max_pixels} pixels '
            'in all; cut it into pieces'
        )
    return ImageHeader(name, width, height, orientation in _SIDEWAYS)


def _format_of(start: bytes) -> Optional[str]:
    """Name of the format that a file of these first bytes has; by the signatures of OpenCV."""
    if start.startswith(b'\xff\xd8\xff'):
        return 'JPEG'
    if start.startswith(b'\x89PNG\r\n\x1a\n'):
        return 'PNG'
    if start.startswith(b'BM'):
        return 'BMP'
    if start[:4] in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'):
        return 'TIFF'
    if start[:4] == b'RIFF' and start[8:12] == b'WEBP':
        return 'WebP'
    if start.startswith(b'GIF8'):
        return 'GIF'
    if start[:1] == b'P' and start[1:2] in b'123456' and start[2:3].isspace():
        return 'PNM'
    if start[:4] == b'\xff\x4f\xff\x51' or start[:12] == b'\0\0\0\x0cjP  \r\n\x87\n':
        return 'JPEG 2000'
    return None


def _unpack(file: IO[bytes], layout: str) -> tuple:
    """Numbers from where the file stands; a short read is a struct.error."""
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _read_jpeg(file: IO[bytes]) -> _Size:
    file.seek(2)
    orientation = 1
    for _ in range(_MAX_PARTS):
        byte, marker = _unpack(file, '>BB')
        while marker == 0xFF:  # fill bytes
            (marker,) = _unpack(file, '>B')
        if byte != 0xFF or marker in (0xD9, 0xDA):
            break
        if marker in _PLAIN_JPEG_MARKERS:
            continue
        (length,) = _unpack(file, '>H')
        if marker in _JPEG_FRAMES:
            _, height, width = _unpack(file, '>BHH')
            return width, height, orientation
        if marker == 0xE1:
            orientation = _exif_orientation(file.read(length - 2)) or orientation
        else:
            file.seek(length - 2, 1)
    raise UserError('the JPEG has no frame header before its data')


def _exif_orientation(data: bytes) -> int:
    """Orientation in an EXIF block, 0 if there is none or it is damaged."""
    exif = Image.Exif()
    try:
        exif.load(data)
        value = exif.get(_EXIF_ORIENTATION, 0)
    except Exception:  # damaged EXIF blocks raise whatever they like; OpenCV skips them
        return 0
    return value if isinstance(value, int) else 0


def _read_png(file: IO[bytes]) -> _Size:
    file.seek(8)
    _, kind, width, height = _unpack(file, '>I4sII')
    if kind != b'IHDR':
        raise UserError(f'the PNG starts with {kind!r}, expected IHDR')
    file.seek(33)
    orientation = 1
    for _ in range(_MAX_PARTS):
        head = file.read(8)
        if len(head) < 8:
            break
        length, kind = struct.unpack('>I4s', head)
        if kind in (b'IDAT', b'IEND'):
            break
        if kind == b'eXIf' and length < 1 << 20:
            orientation = _exif_orientation(file.read(length)) or orientation
            break
        file.seek(length + 4, 1)
    return width, height, orientation


def _read_bmp(file: IO[bytes]) -> _Size:
    file.seek(14)
    (length,) = _unpack(file, '<I')
    width, height = _unpack(file, '<HH' if length == 12 else '<ii')
    return width, abs(height), 1


def _read_tiff(file: IO[bytes]) -> _Size:
    order = '<' if file.read(2) == b'II' else '>'
    (version,) = _unpack(file, f'{order}H')
    if version == 43:  # BigTIFF
        _, _, position = _unpack(file, f'{order}HHQ')
        count_layout, entry_layout = f'{order}Q', f'{order}HHQ8s'
    else:
        (position,) = _unpack(file, f'{order}I')
        count_layout, entry_layout = f'{order}H', f'{order}HHI4s'
    if position >= 1 << 62:
        raise UserError('the TIFF has no directory')
    file.seek(position)
    (count,) = _unpack(file, count_layout)
    fields: Dict[int, int] = {}
    for _ in range(min(count, _MAX_PARTS)):
        tag, kind, _, value = _unpack(file, entry_layout)
        if tag in (256, 257, 274) and kind in _TIFF_TYPES:
            layout = order + _TIFF_TYPES[kind]
            fields.setdefault(tag, struct.unpack_from(layout, value)[0])
    if 256 not in fields or 257 not in fields:
        raise UserError('the TIFF has no width and height in its first directory')
    return fields[256], fields[257], fields.get(274, 1)


def _read_webp(file: IO[bytes]) -> _Size:
    file.seek(12)
    kind, _ = _unpack(file, '<4sI')
    if kind == b'VP8X':
        data = _unpack(file, '<4x6B')
        width, height = (int.from_bytes(bytes(part), 'little') for part in (data[:3], data[3:]))
        return width + 1, height + 1, 1
    if kind == b'VP8L':
        mark, bits = _unpack(file, '<BI')
        if mark == 0x2F:
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 1
    if kind == b'VP8 ':
        mark, width, height = _unpack(file, '<3x3sHH')
        if mark == b'\x9d\x01\x2a':
            return width & 0x3FFF, height & 0x3FFF, 1
    raise UserError(f'the WebP starts with {kind!r}, expected an image')


def _read_gif(file: IO[bytes]) -> _Size:
    return (*_unpack(file, '<6xHH'), 1)


def _read_pnm(file: IO[bytes]) -> _Size:
    numbers = []
    tokens = file.read(4096)[2:]
    # A comment goes to the end of its line.
    lines = (line.partition(b'#')[0] for line in tokens.split(b'\n'))
    for token in b' '.join(lines).split()[:2]:
        if not token.isdigit() or len(token) > 9:
            raise UserError(f'the PNM has {token[:20]!r} for a side, expected a number')
        numbers.append(int(token))
    return numbers[0], numbers[1], 1


def _read_jpeg2000(file: IO[bytes]) -> _Size:
    if file.read(4) != b'\xff\x4f\xff\x51':
        file.seek(0)
        for _ in range(_MAX_PARTS):
            length, kind = _unpack(file, '>I4s')
            used = 8
            if length == 1:
                (length,) = _unpack(file, '>Q')
                used = 16
            if kind == b'jp2c':
                break
            if length < used or length >= 1 << 62:
                raise UserError('the JPEG 2000 has no image in its boxes')
            file.seek(length - used, 1)
        (mark,) = _unpack(file, '>I')
        if mark != 0xFF4FFF51:
            raise UserError('the JPEG 2000 has no image in its boxes')
    x_end, y_end, x_start, y_start = _unpack(file, '>4x4I')
    return x_end - x_start, y_end - y_start, 1


_READERS: Dict[str, Callable[[IO[bytes]], _Size]] = {
    'JPEG': _read_jpeg,
    'PNG': _read_png,
    'BMP': _read_bmp,
    'TIFF': _read_tiff,
    'WebP': _read_webp,
    'GIF': _read_gif,
    'PNM': _read_pnm,
    'JPEG 2000': _read_jpeg2000,
}
