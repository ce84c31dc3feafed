# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Many pictures on one sheet."""

from typing import Sequence

import numpy as np

_GAP = 4  # px between two pictures
_PAPER = 255


def contact_sheet(pictures: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Put pictures side by side, row by row; smaller ones at the top left of their place.

    Args:
        pictures (Sequence[np.ndarray]): (h, w, 3) uint8, one or more, of any size.
        columns (int): Pictures in a row.

    Returns:
        np.ndarray: The sheet, (H, W, 3) uint8, no wider than its pictures need.

    Raises:
        ValueError: If there is no picture or ``columns`` is below 1.

    Example:
        >>> import numpy as np
        >>> contact_sheet([np.zeros((10, 20, 3), np.uint8)] * 5, columns=3).shape
        (24, 68, 3)
    """
    if not pictures or columns < 1:
        raise ValueError(
            f'{len(pictures)} pictures in {columns} columns, expected one or more of both'
        )
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    height = max(picture.shape[0] for picture in pictures)
    width = max(picture.shape[1] for picture in pictures)
    size = (rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3)
    sheet = np.full(size, _PAPER, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = (number // columns) * (height + _GAP), (number % columns) * (width + _GAP)
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet
