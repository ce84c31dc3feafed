# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Thresholds that a file of weights recommends, by what they are for."""

from __future__ import annotations

import json
import os
from typing import Union

from smallobj_mm.utils.errors import UserError

from .reading import read_header

#: Key of the header of a .safetensors file: JSON of threshold by name.
KEY = 'operating_points'
#: What thresholds are for: the best mean of precision and recall; few false alarms; most targets.
NAMES = ('balanced', 'few-false-alarms', 'find-everything')


def read_operating_points(path: Union[str, os.PathLike]) -> dict[str, float]:
    """The operating points in the header of a file of weights.

    Args:
        path: Any file of weights; only .safetensors files have such a header.

    Returns:
        Threshold by name, some of :data:`NAMES`; empty if the file tells none.

    Raises:
        UserError: The header is damaged.
    """
    text = read_header(path).get(KEY)
    if text is None:
        return {}
    try:
        points = {str(name): float(value) for name, value in json.loads(text).items()}
    except (AttributeError, TypeError, ValueError):
        points = {'': -1.0}
    if not all(name in NAMES and 0 <= value <= 1 for name, value in points.items()):
        raise UserError(
            f'{path}: {KEY} in its header is {text[:80]!r}, expected JSON with thresholds in '
            f'[0, 1] of some of {", ".join(NAMES)}'
        )
    return {name: points[name] for name in NAMES if name in points}
