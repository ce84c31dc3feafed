# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""One training at a time in a work-dir."""

import contextlib
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from smallobj_mm.utils.errors import UserError

try:
    import fcntl as _fcntl
except ImportError:  # Windows
    _fcntl = None  # type: ignore[assignment]

fcntl: ModuleType | None = _fcntl
#: Name of the file that is locked.
LOCK = '.training.lock'
#: Launcher -> where it says which process of a run this is.
_RANK = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}


@contextlib.contextmanager
def locked_work_dir(work_dir: str, launcher: str = 'none') -> Iterator[None]:
    """Keep other trainings out of a work-dir while the body runs.

    Two runs that write the same checkpoints overwrite each other's, or remove what the other is
    writing. The lock is the kernel's: it ends with the process, however that ends, and is not
    inherited by the workers of data loaders. Of a distributed run the first process holds it.

    Args:
        work_dir: Made if missing.
        launcher: How the processes of the run were started, see ``engine.runner.LAUNCHERS``.

    Raises:
        UserError: Another training runs there, or the folder cannot be written.
    """
    rank = os.environ.get(_RANK.get(launcher, ''), '0')
    if rank != '0' or fcntl is None:
        yield
        return
    path = Path(work_dir, LOCK)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, 'a+', encoding='utf-8')
    except OSError as error:
        raise UserError(
            f'{work_dir}: cannot be written ({error.strerror}), expected a folder for logs and '
            'checkpoints; give another --work-dir'
        ) from None
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise UserError(
                f'{work_dir}: another training runs in it ({_read(path)}); wait for its end, end '
                'it, or give another --work-dir'
            ) from None
        except OSError:  # a file system without locks
            yield
            return
        file.truncate(0)
        json.dump(
            dict(process=os.getpid(), machine=platform.node(), since=time.strftime('%F %T')), file
        )
        file.flush()
        yield


def _read(path: Path) -> str:
    """What the lock's holder has written about itself."""
    try:
        holder = json.loads(path.read_text(encoding='utf-8'))
        return f'process {holder["process"]} on {holder["machine"]}, since {holder["since"]}'
    except (OSError, ValueError, TypeError, KeyError):
        return 'just started'
