# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Options of the views' transforms: taken as they are, or a one-line error.

Other libraries' transforms of the same kind take a pair where ours take a number, and the other
way round, so the kind is checked as well as the range.
"""

import math
from numbers import Real
from typing import Any

import numpy as np

from smallobj_mm.utils.errors import UserError


def is_number(value: Any, low: float, high: float = math.inf) -> bool:
    """Whether ``value`` is a finite number within bounds, not a bool."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and math.isfinite(value) and low <= value <= high


def is_count(value: Any) -> bool:
    """Whether ``value`` is an integer of 1 or more."""
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return integer and bool(value >= 1)


def check_pair(owner: str, name: str, value: Any, low: float, high: float) -> tuple[float, float]:
    """A pair (smallest, largest) within bounds.

    Raises:
        UserError: If it is none.
    """
    pair = isinstance(value, (list, tuple)) and len(value) == 2
    if not pair or not all(is_number(number, low, high) for number in value) or value[0] > value[1]:
        raise UserError(
            f'{owner}: {name} is {value!r}, expected (smallest, largest) within [{low:g}, {high:g}]'
        )
    return value[0], value[1]


def check_number(owner: str, name: str, value: Any, most: float, what: str) -> float:
    """A number in [0, most].

    Raises:
        UserError: If it is none.
    """
    if not is_number(value, 0, most):
        raise UserError(f'{owner}: {name} is {value!r}, expected {what} in [0, {most:g}]')
    return value


def check_prob(owner: str, prob: Any) -> float:
    """A probability.

    Raises:
        UserError: If it is none.
    """
    return check_number(owner, 'prob', prob, 1, 'a probability')
