# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.datasets.transforms import SmallBoxFilter


def sample(boxes, ignore):
    return dict(
        gt_bboxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        gt_bboxes_labels=np.arange(len(boxes)),
        gt_ignore_flags=np.array(ignore, dtype=bool),
    )


def test_small_and_elongated_objects_go_and_ignore_regions_stay():
    boxes = [[0, 0, 2, 9], [0, 0, 2.1, 9], [0, 0, 60, 3], [0, 0, 59, 3], [0, 0, 1, 1], [5, 5, 5, 5]]
    out = SmallBoxFilter()(sample(boxes, [0, 0, 0, 0, 1, 0]))
    np.testing.assert_array_equal(out['gt_bboxes_labels'], [1, 3, 4])
    np.testing.assert_array_equal(out['gt_ignore_flags'], [False, False, True])
    assert out['gt_bboxes'].shape == (3, 4)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100), st.booleans()), max_size=20),
    st.floats(0, 20),
    st.floats(1.5, 30),
)
def test_keeps_exactly_what_the_rule_says(sides, min_size, max_aspect):
    sides = [(float(np.float32(w)), float(np.float32(h)), flag) for w, h, flag in sides]
    out = SmallBoxFilter(min_size, max_aspect)(
        sample([[0, 0, w, h] for w, h, _ in sides], [flag for *_, flag in sides])
    )
    kept = set(out['gt_bboxes_labels'].tolist())
    for index, (w, h, flag) in enumerate(sides):
        if flag or (min(w, h) > min_size * 1.001 and max(w, h) < min(w, h) * max_aspect * 0.999):
            assert index in kept
        elif min(w, h) < min_size * 0.999 or max(w, h) > min(w, h) * max_aspect * 1.001:
            assert index not in kept


def test_an_emptied_sample_stays_a_sample(painted):
    out = SmallBoxFilter(min_size=500)(painted.sample(np.random.default_rng(0)))
    assert out is not None and len(out['gt_bboxes']) == 0


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match='min_size is -1'):
        SmallBoxFilter(min_size=-1)
    mismatch = sample([[0, 0, 9, 9]], [0, 0])
    with pytest.raises(ValueError, match='1 boxes, 1 labels and 2 ignore flags'):
        SmallBoxFilter()(mismatch)
