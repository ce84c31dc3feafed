# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Files that are written whole or not at all."""

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import IO, Iterator, Union

#: Bytes of a name that its temporary file takes over; file systems allow 255 in all.
_TEMPORARY_STEM = 200

PathLike = Union[str, 'os.PathLike[str]']


@contextlib.contextmanager
def atomic_file(path: PathLike) -> Iterator[IO[bytes]]:
    """A binary file that takes its place only when everything in it was written.

    It is written under a temporary name in the same folder, flushed to the disk and renamed. If
    the body raises, or the process dies, what was at ``path`` before is still there.

    Args:
        path: Where the file goes; missing folders are made.

    Yields:
        IO[bytes]: Open for writing and reading.

    Raises:
        OSError: The folder cannot be made or written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name itself may be as long as the file system allows.
    stem = os.fsdecode(os.fsencode(path.name)[-_TEMPORARY_STEM:])
    temporary = path.with_name(f'.{stem}.{os.getpid()}.{secrets.token_hex(4)}.tmp')
    try:
        with open(temporary, 'x+b') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def atomic_write_bytes(path: PathLike, data: bytes) -> None:
    """Write bytes whole or not at all."""
    with atomic_file(path) as file:
        file.write(data)


def atomic_write_text(path: PathLike, text: str) -> None:
    """Write text (UTF-8) whole or not at all."""
    atomic_write_bytes(path, text.encode('utf-8'))


def atomic_write_json(path: PathLike, value: object, indent: Union[int, None] = None) -> None:
    """Write a JSON document whole or not at all.

    Args:
        path: Where the file goes.
        value: What ``json.dumps`` takes.
        indent: Spaces an indentation level; None for one line.

    Raises:
        UserError: The value is not JSON; nothing is written.
        UserError: The value holds NaN or infinity, which are not JSON; nothing is written.
    """
    atomic_write_text(path, json.dumps(value, indent=indent, allow_nan=False) + '\n')


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where folders can be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
