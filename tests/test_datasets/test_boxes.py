# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Boxes that cannot be used are dropped and counted, or raise."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.datasets.boxes import REASONS, BoxReport, check_boxes

CASES = [
    ((1.25, 2.5, 3.75, 4.5), 'kept', (1.25, 2.5, 3.75, 4.5)),
    ((-5, 10, 20, 500), 'kept', (0, 10, 20, 80)),
    ((20, 10, 10, 30), 'inverted', None),
    ((10, 30, 20, 10), 'inverted', None),
    ((10, 10, 10, 30), 'of zero area', None),
    ((10, 30, 20, 30), 'of zero area', None),
    ((100, 0, 130, 30), 'outside the image', None),
    ((-30, -30, 0, 0), 'outside the image', None),
]


@pytest.mark.parametrize('box, reason, clipped', CASES)
def test_single_boxes(box, reason, clipped):
    result, codes, leaves = check_boxes(np.array([box]), 100, 80)
    assert REASONS[codes[0]] == reason
    if clipped is not None:
        np.testing.assert_array_equal(result[0], clipped)
        assert leaves[0] == (tuple(box) != clipped)


@given(st.lists(st.tuples(*[st.floats(-200, 200)] * 4), max_size=20))
@settings(max_examples=50, deadline=None)
def test_usable_boxes_lie_inside_and_have_area(boxes):
    clipped, codes, leaves = check_boxes(np.array(boxes).reshape(-1, 4), 100, 80)
    usable = clipped[codes == 0]
    assert (usable[:, 2:] > usable[:, :2]).all()
    assert (usable >= 0).all() and (usable <= [100, 80, 100, 80]).all()
    assert not leaves[codes != 0].any()


def test_report_counts_and_names_the_first(logged):
    report = BoxReport('set')
    boxes = [box for box, *_ in CASES]
    _, usable = report.check(np.array(boxes), 100, 80, 'a.xml')
    assert usable.tolist() == [True, True] + [False] * 6
    report.check(np.array([(9, 0, 3, 9)]), 100, 80, 'b.xml')
    report.log()
    ((level, text),) = logged
    assert level == logging.WARNING and '\n' not in text
    assert '7 of 9 boxes dropped' in text and '3 inverted (first: a.xml, box 3' in text
    assert '2 of zero area' in text and '2 outside the image' in text
    assert '1 of 9 boxes leave the image' in text


def test_clipping_alone_is_no_warning(logged):
    report = BoxReport('set')
    report.log()
    assert logged == []
    report.check(np.array([(-5, 10, 20, 30)]), 100, 80, 'a.xml')
    report.log()
    assert logged[0][0] == logging.INFO


@pytest.mark.parametrize('box, reason, clipped', [case for case in CASES if case[2] is None])
def test_strict_raises(box, reason, clipped):
    with pytest.raises(ValueError, match=rf'a\.xml, box 2: .*100x80 is {reason}'):
        BoxReport('set', strict=True).check(np.array([(0, 0, 5, 5), box]), 100, 80, 'a.xml')
