# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Values of unknown size as parts of messages."""

import reprlib

#: Longest text of a value in a message, in characters.
LONGEST = 80

_Repr = reprlib.Repr()
_Repr.maxlevel = 2
_Repr.maxdict = _Repr.maxlist = _Repr.maxtuple = _Repr.maxset = 8
_Repr.maxstring = _Repr.maxother = LONGEST
_Repr.maxlong = 40


def brief(value: object, length: int = LONGEST) -> str:
    """The ``repr`` of a value, cut in depth, width and length.

    What comes out of a file may be as large as its author likes, and larger than the file where
    it shares parts of itself: no message may hold all of it.

    Args:
        value: Anything.
        length: Longest text, in characters.

    Returns:
        One line of at most ``length`` characters.
    """
    try:
        text = _Repr.repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        text = f'<{type(value).__name__}>'
    text = ' '.join(text.split())
    return text if len(text) <= length else text[: length - 1] + '…'


def printable(path: str) -> str:
    r"""A path as text that can be written in UTF-8: bytes that are none become ``\\xNN``."""
    return path.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')
