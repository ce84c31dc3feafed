# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the command-line tools have in common: errors of one line."""

import contextlib
import linecache
import os
import re
import sys
import types
from pathlib import Path
from typing import Iterator, Optional

#: Set to anything but 0 to see the traceback of errors that are shown as one line.
DEBUG_VARIABLE = 'SMALLOBJ_MM_DEBUG'

#: How PyTorch begins what it passes on from a worker, a frame in it, and what was raised.
_FROM_WORKER = re.compile(r'Caught \w+ in DataLoader worker process \d+')
_FRAME = re.compile(r'^  File "(?P<file>[^"\n]+)", line (?P<line>\d+), in .*$', re.MULTILINE)
_RAISED = re.compile(r'^[A-Za-z_][\w.]*: ', re.MULTILINE)

_PACKAGE = str(Path(__file__).resolve().parent.parent) + os.sep
_MESSAGES = (
    ValueError,
    TypeError,
    KeyError,
    LookupError,
    OSError,
    ImportError,
    RuntimeError,
    ArithmeticError,
)


def _last_frame(error: BaseException) -> Optional[types.TracebackType]:
    """Where the error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace


def _worker_error(error: BaseException) -> Optional[tuple[str, int, str]]:
    """File, line and message of an error that PyTorch passes on from a worker of a loader.

    It arrives as an error of the same type whose message is the worker's traceback.
    """
    text = str(error.args[0]) if error.args else ''
    if not _FROM_WORKER.match(text):
        return None
    frames = list(_FRAME.finditer(text))
    if not frames:
        return None
    message = _RAISED.split(text[frames[-1].end() :], maxsplit=1)[-1]
    return frames[-1]['file'], int(frames[-1]['line']), message


def is_user_error(error: BaseException) -> bool:
    """Whether an error tells the user what to do, so that a traceback adds nothing.

    That is a file that is not there, or an error that this package raises on purpose: the line
    it comes from is a ``raise`` in this package or in a tool. Anything else is a defect, and its
    traceback is wanted.
    """
    if isinstance(error, FileNotFoundError):
        return True
    trace = _last_frame(error)
    if trace is None or not isinstance(error, _MESSAGES):
        return False
    filename, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
    from_worker = _worker_error(error)
    if from_worker is not None:
        filename, line, _ = from_worker
    filename = os.path.abspath(filename)
    # sys.argv[0] is relative where the tool was called so.
    ours = filename.startswith(_PACKAGE) or filename == os.path.abspath(sys.argv[0])
    return ours and linecache.getline(filename, line).lstrip().startswith('raise ')


def one_line(error: BaseException) -> str:
    """The message of an error in one line."""
    from_worker = _worker_error(error)
    if from_worker is not None:
        return ' '.join(from_worker[2].split())
    # str() of a KeyError is the repr of its message
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return ' '.join(str(text).split()) or type(error).__name__


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Print ``error: ...`` and exit with status 2 where the body raises a user error.

    With the environment variable SMALLOBJ_MM_DEBUG=1 the traceback is shown.
    """
    try:
        yield
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE, '0') != '0' or not is_user_error(error):
            raise
        sys.stdout.flush()
        print(f'error: {one_line(error)}', file=sys.stderr, flush=True)
        sys.exit(2)
