# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from smallobj_mm.visualization import contact_sheet


def test_pictures_stand_in_rows():
    pictures = [np.full((10 + i, 20 - i, 3), i, np.uint8) for i in range(5)]
    sheet = contact_sheet(pictures, 3)
    assert sheet.shape == (2 * 14 + 4, 3 * 20 + 8, 3) and sheet.dtype == np.uint8
    for i, picture in enumerate(pictures):
        top, left = (i // 3) * 18, (i % 3) * 24
        place = sheet[top : top + 14, left : left + 20]
        assert (place[: 10 + i, : 20 - i] == picture).all()
        assert (place[10 + i :] == 255).all() and (place[:, 20 - i :] == 255).all()
    assert (sheet[18:, 48:] == 255).all()  # the sixth place is free
    assert contact_sheet(pictures[:1], 7).shape == (10, 20, 3)


def test_nothing_to_put():
    for pictures, columns in (([], 2), ([np.zeros((1, 1, 3), np.uint8)], 0)):
        with pytest.raises(ValueError, match='expected one or more of both'):
            contact_sheet(pictures, columns)
