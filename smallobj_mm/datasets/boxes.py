# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checks on annotated boxes: what is clipped, what is dropped, and how that is reported."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, Tuple

import numpy as np
from mmengine.logging import print_log

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.messages import brief

#: Why a box is dropped; the index is the code that :func:`check_boxes` returns, 0 means kept.
REASONS = ('kept', 'inverted', 'of zero area', 'outside the image')

# Fractions multiplied by the size of the image may overshoot the border by rounding alone.
_BORDER_TOLERANCE = 1e-6


def check_boxes(
    boxes: np.ndarray, width: float, height: float
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clip boxes to the image and find those that cannot be used.

    Args:
        boxes (np.ndarray): Boxes (x1, y1, x2, y2) in px, shape (N, 4).
        width (float): Width of the image in px.
        height (float): Height of the image in px.

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: The clipped boxes as float64 of shape (N, 4);
        the code of each box, shape (N,), an index into :data:`REASONS` (0: usable); whether a
        usable box left the image by more than rounding, shape (N,).
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    size = boxes[:, 2:] - boxes[:, :2]
    limit = np.array([width, height, width, height], dtype=np.float64)
    clipped = np.clip(boxes, 0.0, limit)
    outside = ((clipped[:, 2:] - clipped[:, :2]) <= 0).any(axis=1)
    codes = np.select([(size < 0).any(axis=1), (size == 0).any(axis=1), outside], [1, 2, 3], 0)
    leaves = (np.abs(clipped - boxes) > _BORDER_TOLERANCE).any(axis=1) & (codes == 0)
    return clipped, codes, leaves


@dataclass
class BoxReport:
    """Counts over a whole data set of boxes that were seen, clipped and dropped.

    Attributes:
        name (str): Name of the data set, for the messages.
        strict (bool): Raise at the first unusable box instead of dropping it.
        total (int): Boxes seen.
        clipped (int): Usable boxes that left the image and were cut at its border.
        dropped (Counter): Reason -> number of boxes dropped.
    """

    name: str
    strict: bool = False
    total: int = 0
    clipped: int = 0
    dropped: Counter = field(default_factory=Counter)
    _first: Dict[str, str] = field(default_factory=dict)

    def check(
        self, boxes: np.ndarray, width: float, height: float, source: str
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Check the boxes of one image and add them to the counts.

        Args:
            boxes (np.ndarray): Boxes (x1, y1, x2, y2) in px, shape (N, 4).
            width (float): Width of the image in px.
            height (float): Height of the image in px.
            source (str): File (and record) the boxes come from, for the messages.

        Returns:
            tuple[np.ndarray, np.ndarray]: Clipped boxes (N, 4) and the mask (N,) of usable ones.

        Raises:
            UserError: If ``strict`` and a box is inverted, of zero area or outside the image.
        """
        boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        clipped, codes, leaves = check_boxes(boxes, width, height)
        self.total += len(codes)
        self.clipped += int(leaves.sum())
        for index in np.flatnonzero(codes):
            reason = REASONS[codes[index]]
            values = [round(value, 3) for value in boxes[index].tolist()]
            where = f'{source}, box {index + 1}: {values} in an image of {width:g}x{height:g}'
            if self.strict:
                raise UserError(
                    f'{where} is {reason}; expected x1 < x2 and y1 < y2 inside the image: correct '
                    'the file, or load with strict=False to drop such boxes'
                )
            self.dropped[reason] += 1
            self._first.setdefault(reason, where)
        return clipped, codes == 0

    def count_dropped_label(self, source: str, label: str) -> None:
        """Count an object that is left out because its label is not among the classes."""
        reason = 'labeled outside the classes'
        self.total += 1
        self.dropped[reason] += 1
        self._first.setdefault(reason, f'{source}: {brief(label)}')

    def summary(self) -> str:
        """One line that says what was dropped and clipped, empty if nothing was."""
        parts = [
            f'{count} {reason} (first: {self._first[reason]})'
            for reason, count in self.dropped.items()
        ]
        text = ''
        if parts:
            count = sum(self.dropped.values())
            text = f'{count} of {self.total} boxes dropped: ' + '; '.join(parts)
        if self.clipped:
            text += ('; ' if text else '') + (
                f'{self.clipped} of {self.total} boxes leave the image and were clipped to it'
            )
        return f'{self.name}: {text}' if text else ''

    def log(self) -> None:
        """Log the summary: a warning if boxes were dropped, else information."""
        text = self.summary()
        if text:
            level = logging.WARNING if self.dropped else logging.INFO
            print_log(text, logger='current', level=level)
