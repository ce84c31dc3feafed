# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the command-line tools have in common: errors of one line."""

import contextlib
import linecache
import os
import sys
import types
from pathlib import Path
from typing import Iterator, Optional

#: Set to anything but 0 to see the traceback of errors that are shown as one line.
DEBUG_VARIABLE = 'SMALLOBJ_MM_DEBUG'

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
    filename = os.path.abspath(trace.tb_frame.f_code.co_filename)
    # sys.argv[0] is relative where the tool was called so.
    ours = filename.startswith(_PACKAGE) or filename == os.path.abspath(sys.argv[0])
    return ours and linecache.getline(filename, trace.tb_lineno).lstrip().startswith('raise ')


def one_line(error: BaseException) -> str:
    """The message of an error in one line."""
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
