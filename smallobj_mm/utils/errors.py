# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Errors that a user can act on, and how the tools print them: in one line."""

import contextlib
import errno
import os
import sys
from typing import Iterator

from smallobj_mm.compat.mmcv_ext import MissingOperatorError

#: Set to anything but 0 to see the traceback of errors that are shown as one line.
DEBUG_VARIABLE = 'SMALLOBJ_MM_DEBUG'


class UserError(ValueError):
    """Something that the user can mend: a file, a setting, a machine that lacks something.

    The message is one line that names the file or field, what was found, what was expected, and
    what to do. Everything else that is raised is a defect, whose traceback is wanted.
    """


class MissingPackageError(UserError, ImportError):
    """An optional package is not installed; the message says how to get it."""


#: What a write says when there is no room: disk, quota, or limit of the size of a file.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: What the tools show without a traceback.
SHOWN_IN_ONE_LINE = (UserError, FileNotFoundError, MissingOperatorError)


def one_line(error: BaseException) -> str:
    """The message of an error in one line."""
    # str() of a KeyError is the repr of its message
    own = error.args[0] if isinstance(error, KeyError) and error.args else error
    text = _message_from_worker(error) or str(own)
    return ' '.join(text.split()) or type(error).__name__


def _message_from_worker(error: BaseException) -> str | None:
    """The message of an error that PyTorch passes on from a worker of a loader, else None.

    PyTorch raises the type again with the worker's formatted traceback as its message. The last
    line that begins with the type's name begins the message: so the interpreter formats it.
    """
    kind = type(error)
    text = str(error.args[0]) if error.args else ''
    if not text.startswith(f'Caught {kind.__name__} in DataLoader worker process '):
        return None
    name = kind.__name__ if kind.__module__ == 'builtins' else f'{kind.__module__}.{kind.__name__}'
    return text.rpartition(f'\n{name}: ')[2]


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Print ``error: ...`` and exit with status 2 where the body raises a user error.

    With the environment variable SMALLOBJ_MM_DEBUG=1 the traceback is shown.
    """
    try:
        yield
    except (*SHOWN_IN_ONE_LINE, OSError) as error:
        text = one_line(error)
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            text = f'{error.filename or "a file"}: cannot be written ({text}); free some space'
        elif not isinstance(error, SHOWN_IN_ONE_LINE):
            raise
        if os.environ.get(DEBUG_VARIABLE, '0') != '0':
            raise
        sys.stdout.flush()
        print(f'error: {text}', file=sys.stderr, flush=True)
        sys.exit(2)
