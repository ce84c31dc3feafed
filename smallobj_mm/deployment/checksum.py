# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A checksum at the end of an exported file, where every program that reads the format skips it."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import BinaryIO

from smallobj_mm.utils.errors import UserError

#: Name of the checksum in the file.
NAME = b'smallobj_mm_sha256'
_DIGITS = 64
_BLOCK = 1 << 20


def _entry(tag: int, content: bytes, length: int | None = None) -> bytes:
    """A field of a protocol buffer; ``content`` may be the beginning of ``length`` bytes."""
    return bytes([tag, len(content) if length is None else length]) + content


# ONNX: field 14 of a model is an entry of its metadata, with a key and a value. Readers add what
# stands at the end to the entries before it.
_KEY_AND_VALUE = _entry(0x0A, NAME) + _entry(0x12, b'', _DIGITS)
#: Ending of a file's name -> bytes before and after the digits, of which the file's end consists.
_TAILS = {
    '.onnx': (_entry(0x72, _KEY_AND_VALUE, len(_KEY_AND_VALUE) + _DIGITS), b''),
    '.xml': (b'\n<!-- ' + NAME + b' ', b' -->\n'),  # a comment
    '.torchscript': (NAME + b' ', b''),  # the comment of a ZIP archive
}
_ZIP_END, _ZIP_END_SIZE = b'PK\x05\x06', 22


def seal(path: Path) -> None:
    """Write the checksum of an exported file, and of the weights beside an .xml, to its end.

    Args:
        path: .onnx, .xml or .torchscript, without a checksum.
    """
    before, after = _TAILS[path.suffix]
    with open(path, 'r+b') as file:
        if path.suffix == '.torchscript':
            _announce_comment(file, len(before) + _DIGITS + len(after))
        size = file.seek(0, os.SEEK_END)
        digits = _digest(file, size, path)
        file.seek(size)
        file.write(before + digits + after)


def verify(path: Path) -> None:
    """Compare an exported file with its checksum.

    Raises:
        UserError: A byte of it, or of the weights beside it, is another one, or it has no checksum.
    """
    before, after = _TAILS[path.suffix.lower()]
    length = len(before) + _DIGITS + len(after)
    with open(path, 'rb') as file:
        size = max(file.seek(0, os.SEEK_END) - length, 0)
        file.seek(size)
        tail = file.read()
        if tail.startswith(before) and tail.endswith(after) and len(tail) == length:
            if tail[len(before) : len(before) + _DIGITS] == _digest(file, size, path):
                return
            what = 'its checksum (SHA-256) is another one than when it was exported'
        else:
            what = 'it does not end in the checksum of an export'
    raise UserError(
        f'{path}: damaged, changed, or not written by tools/deployment/export.py ({what}); copy it '
        'again or export it again'
    )


def _digest(file: BinaryIO, size: int, path: Path) -> bytes:
    """Hexadecimal SHA-256 of the first ``size`` bytes, and of the weights that belong to them."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (block := file.read(min(_BLOCK, size))):
        digest.update(block)
        size -= len(block)
    if path.suffix.lower() == '.xml':
        with open(path.with_suffix('.bin'), 'rb') as weights:
            while block := weights.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest().encode()


def _announce_comment(file: BinaryIO, length: int) -> None:
    """Say in the last record of a ZIP archive how long the comment behind it is."""
    start = file.seek(-_ZIP_END_SIZE, os.SEEK_END)
    record = file.read(_ZIP_END_SIZE)
    assert record.startswith(_ZIP_END) and record.endswith(b'\0\0')  # torch writes no comment
    file.seek(start + _ZIP_END_SIZE - 2)
    file.write(struct.pack('<H', length))
