# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The folder of a running page, and what pages that were killed left behind."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

#: None on Windows, where an open file cannot be removed.
fcntl: Any = importlib.import_module('fcntl') if os.name == 'posix' else None

PREFIX = 'smallobj_mm_page_'
_LOCK = 'in_use'
#: Seconds after which a folder without a lock file is no page that just starts.
_STARTING = 60
#: Longest name of a download, in characters.
_LONGEST = 80


@contextlib.contextmanager
def page_folder(parent: str | Path | None = None) -> Iterator[Path]:
    """A folder that lives as long as the page; folders of pages that were killed go away.

    Args:
        parent: Where it is made; the system's folder of temporary files if None.

    Yields:
        The folder, which this user alone may read.
    """
    parent = Path(parent or tempfile.gettempdir())
    clear_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    with open(folder / _LOCK, 'wb') as lock:
        _try_lock(lock)
        try:
            yield folder
        finally:
            if fcntl is None:
                lock.close()
            shutil.rmtree(folder, ignore_errors=True)


def clear_abandoned(parent: Path) -> list[Path]:
    """Remove the folders of this user's pages that do not run any more.

    Args:
        parent: Where the folders lie.

    Returns:
        The removed folders.
    """
    removed = []
    for folder in parent.glob(f'{PREFIX}*'):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            own = not hasattr(os, 'getuid') or status.st_uid == os.getuid()
            if own and not folder.is_symlink() and folder.is_dir() and _abandoned(folder):
                shutil.rmtree(folder)
                removed.append(folder)
    return removed


def _abandoned(folder: Path) -> bool:
    """Whether no process holds the lock of a folder."""
    path = folder / _LOCK
    if not path.is_file():
        return time.time() - folder.lstat().st_mtime > _STARTING
    if fcntl is None:
        try:
            path.unlink()
        except PermissionError:
            return False
        return True
    with open(path, 'rb+') as lock:
        return _try_lock(lock)


def _try_lock(lock: IO[bytes]) -> bool:
    """Lock a file as long as it is open; False if another process has."""
    if fcntl is not None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def session_folder(folder: Path, session: object) -> Path:
    """The folder of a visitor's downloads; what the browser calls itself is no part of the path.

    Args:
        folder: The folder of the page.
        session: What the browser says that it is.
    """
    digest = hashlib.sha256(str(session).encode('utf-8', 'surrogatepass')).hexdigest()[:32]
    return folder / 'downloads' / digest


def clear_old_downloads(folder: Path, seconds: float) -> None:
    """Remove the downloads of visitors that packed nothing for some seconds.

    Args:
        folder: The folder of the page.
        seconds: Since they packed last.
    """
    for visitor in (folder / 'downloads').glob('*'):
        with contextlib.suppress(OSError):
            if time.time() - visitor.stat().st_mtime > seconds:
                shutil.rmtree(visitor)


def download_name(name: str) -> str:
    """A name for the results of an image: letters, digits, ``-`` and ``_`` of the image's own."""
    stem = re.sub(r'[^\w-]+', '_', Path(name).stem, flags=re.ASCII)[:_LONGEST].strip('_')
    return f'{stem or "image"}_results.zip'
