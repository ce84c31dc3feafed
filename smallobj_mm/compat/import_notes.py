# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Keeps the stack's notes about a package that nobody here needs off the screen."""

import contextlib
import io
import sys
from typing import Iterator, TextIO

#: printed at each import of mmdet, mmseg and mmpretrain where a commercial data loader is absent,
#: at level DEBUG, but past every logger
NOTE = 'Could not import OneDL'


class _WithoutNotes(io.TextIOBase):
    """Passes on what is printed, whole lines at a time, but for lines that begin with NOTE."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.line = ''

    def write(self, text: str) -> int:
        *lines, self.line = (self.line + text).split('\n')
        for line in lines:
            if not line.startswith(NOTE):
                self.out.write(line + '\n')
        return len(text)

    def finish(self) -> None:
        """Pass on what came after the last line's end."""
        self.out.write(self.line)
        self.line = ''


@contextlib.contextmanager
def without_import_notes() -> Iterator[None]:
    """While it is open, standard output lacks the lines that begin with :data:`NOTE`."""
    out = _WithoutNotes(sys.stdout)
    try:
        with contextlib.redirect_stdout(out):
            yield
    finally:
        out.finish()
