# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Files that are written whole or not at all."""

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import IO, Iterator, Union

from smallobj_mm.utils.errors import DISK_FULL, UserError

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
        UserError: The file cannot be written: the disk is full, the folder may not be written, a
            file stands in the place of a folder.
    """
    path = Path(path)
    # The name itself may be as long as the file system allows.
    stem = os.fsdecode(os.fsencode(path.name)[-_TEMPORARY_STEM:])
    temporary = path.with_name(f'.{stem}.{os.getpid()}.{secrets.token_hex(4)}.tmp')
    try:
        with _naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(temporary, 'x+b')  # noqa: SIM115  (closed below, under another guard)
        with _naming(path, only_full=True), contextlib.ExitStack() as stack:
            stack.callback(_close, file)
            yield file
            with _naming(path):
                file.flush()
                os.fsync(file.fileno())
        with _naming(path):
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _close(file: IO[bytes]) -> None:
    """Close a file; what a full disk did not take is known by then."""
    with contextlib.suppress(OSError):
        file.close()


@contextlib.contextmanager
def _naming(path: Path, only_full: bool = False) -> Iterator[None]:
    """Say which file could not be written, and why.

    Args:
        path: The file.
        only_full: The body does other things as well: only what a write says is this file's.

    Raises:
        UserError: In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        if only_full and (error.errno not in DISK_FULL or error.filename is not None):
            raise
        what = (
            'free some space'
            if error.errno in DISK_FULL
            else 'check the folder and its permissions'
        )
        raise UserError(
            f'{path}: cannot be written ({error.strerror or error}), what was there before is '
            f'unchanged; {what}'
        ) from error


@contextlib.contextmanager
def naming_folder(folder: PathLike) -> Iterator[None]:
    """Say where a disk is full when a library writes there, which does not name its files.

    Raises:
        UserError: In place of the OSError of a full disk.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise UserError(
            f'{error.filename or f"a file in {folder}"}: cannot be written ({error.strerror}); '
            'free some space'
        ) from error


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
