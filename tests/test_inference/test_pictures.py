# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from smallobj_mm.inference.pictures import (
    CELL,
    SIDE,
    draw_contact_sheet,
    draw_result,
    enlarge_target,
)
from smallobj_mm.inference.targets import box_targets, mask_targets
from smallobj_mm.visualization.target_drawing import NUMBER, OUTLINE


def targets(*boxes):
    boxes = np.array(boxes or [[1.0, 0.0, 3.0, 1.0]], dtype=np.float32)
    return box_targets(boxes, np.linspace(0.9, 0.3, len(boxes)), np.zeros(len(boxes)))


@pytest.mark.parametrize('shape', [(1, 700), (700, 1), (20, 30), (700, 800)])
def test_pictures_are_enlarged_by_their_longer_side(shape):
    """A line of pixels is not blown up to a square of it."""
    picture = draw_result(np.zeros(shape, np.uint8), targets(), ['one'])
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    assert picture.shape[1] <= max(2 * SIDE, shape[1])
    assert picture.shape[0] <= max(2 * SIDE, shape[0]) + 100  # with the legend


@pytest.mark.parametrize('kind', ['boxes', 'mask'])
def test_large_images_have_thick_lines_and_one_panel(kind):
    image = np.zeros((3000, 4000), np.uint8)
    mask = np.zeros(image.shape, np.uint8)
    mask[1000:1008, 2000:2008] = 1
    found = targets((2000, 1000, 2008, 1008))
    if kind == 'mask':
        found = mask_targets(mask, mask.astype(np.float32), label=0)
    picture = draw_result(image, found, ['one'], mask if kind == 'mask' else None, numbers=False)
    assert picture.shape[1] == 4000 and 3000 < picture.shape[0] < 3200
    assert not picture[1000:1008, 2000:2008].any(), 'the target itself stays visible'
    row = picture[1004, 1900:2000].any(axis=1)
    assert 5 <= row.sum() <= 7, 'a line of 6 px is one of 2 px where 1300 px are shown'
    twice = draw_result(image, found, ['one'], None, beside=True)
    assert twice.shape[1] > 8000


def test_targets_are_numbered_and_numbers_keep_apart():
    boxes = [(100 + 3 * i, 100, 102 + 3 * i, 102) for i in range(4)]
    boxes += [(0, 0, 5, 5), (635, 470, 639, 479)]
    numbered = draw_result(np.zeros((480, 640), np.uint8), targets(*boxes), ['one'])[:480]
    plain = draw_result(np.zeros((480, 640), np.uint8), targets(*boxes), ['one'], numbers=False)
    yellow = (np.abs(numbered.astype(int) - NUMBER).sum(axis=2) < 90) & (plain[:480] == 0).all(2)
    rows, columns = np.nonzero(yellow)
    near = np.abs(rows[:, None] - [100, 0, 470]) + np.abs(columns[:, None] - [105, 5, 635]) < 60
    assert near.any(axis=0).all(), 'also beside targets in the corners'


def test_contact_sheet():
    image = np.full((900, 1200), 30, np.uint8)
    image[400:403, 600:603] = 36
    boxes = [(600, 400, 603, 403), (0, 0, 4, 4), (1100, 800, 1199, 899)]
    cell = enlarge_target(image, targets(*boxes), 0, ['one'])
    assert cell.shape == (CELL, CELL, 3) and cell.max() == 255, 'the contrast is stretched'
    sheet = draw_contact_sheet(image, targets(*boxes), ['one'])
    assert sheet.shape[1] == 3 * (CELL + 4) and CELL < sheet.shape[0] < CELL + 60, sheet.shape
    mask = (image == 36).astype(np.uint8)
    outlined = enlarge_target(image, targets(*boxes), 0, ['one'], mask)
    assert (outlined == OUTLINE).all(axis=2).any()
    assert draw_contact_sheet(image, targets(*boxes).take(slice(0, 0)), ['one']).size
