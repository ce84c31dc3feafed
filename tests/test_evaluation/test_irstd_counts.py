# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from smallobj_mm.evaluation.irstd_counts import (
    IGNORED,
    LEVELS,
    SWEEP,
    count_image,
    find_components,
    level_of,
    match_components,
    scan_order,
)

MASKS = arrays.arrays(
    np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.integers(0, 1)
)
FEW = settings(max_examples=60, deadline=None)


def image(*corners, shape=(40, 40), side=3, value=1.0):
    """Squares at the given corners (row, column)."""
    array = np.zeros(shape, np.float32)
    for row, column in corners:
        array[row : row + side, column : column + side] = value
    return array


@FEW
@given(MASKS)
def test_components_are_those_of_scikit_image(mask):
    measure = pytest.importorskip('skimage.measure')
    ours = find_components(mask)
    regions = measure.regionprops(measure.label(mask, connectivity=2))
    order = scan_order(ours)
    assert [region.area for region in regions] == ours.areas[order].tolist()
    theirs = np.array([region.centroid[::-1] for region in regions]).reshape(-1, 2)
    np.testing.assert_allclose(ours.centroids[order], theirs, rtol=0, atol=1e-12)


def scanning(targets, found, distance=3.0):
    """The greedy scan of the field, written down as it is described."""
    free = list(scan_order(found))
    detected = np.zeros(len(targets.areas), bool)
    for row in scan_order(targets):
        for column in free:
            if np.linalg.norm(targets.centroids[row] - found.centroids[column]) < distance:
                detected[row] = True
                free.remove(column)
                break
    serves = np.ones(len(found.areas), bool)
    serves[free] = False
    return detected, serves


@FEW
@given(st.data())
def test_first_is_the_greedy_scan_and_optimal_is_never_less(data):
    mask = data.draw(MASKS)
    other = data.draw(arrays.arrays(np.uint8, mask.shape, elements=st.integers(0, 1)))
    targets, found = find_components(mask), find_components(other)
    first = match_components(targets, found, 'first')
    for ours, theirs in zip(first, scanning(targets, found)):
        assert ours.tolist() == theirs.tolist()
    best = match_components(targets, found, 'optimal')
    assert best[0].sum() == best[1].sum() >= first[0].sum()


def test_optimal_finds_the_pair_that_the_scan_gives_away():
    """The first target takes the only component that the second one is near to."""
    truth = np.zeros((40, 40), np.uint8)
    truth[10, 10] = truth[10, 14] = 1
    found = np.zeros((40, 40), np.uint8)
    found[9, 12] = found[11, 9] = 1  # the first is near both targets, the second near one
    targets, parts = find_components(truth), find_components(found)
    assert match_components(targets, parts, 'first')[0].sum() == 1
    detected, serves = match_components(targets, parts, 'optimal')
    assert detected.all() and serves.all()


def test_the_distance_is_strict():
    truth = image((10, 10)).astype(np.uint8)
    for shift, detected in ((2, True), (3, False)):
        counts = count_image(image((10, 10 + shift)), truth)
        assert counts.detected.tolist() == [[detected]]
        assert counts.false_pixels.tolist() == [0 if detected else 9]
    assert count_image(image((10, 13)), truth, distance=3.5).detected.all()


def test_false_alarms_of_the_area_of_a_hit_count():
    truth = image((10, 10)).astype(np.uint8)
    counts = count_image(image((10, 10), (30, 30), (2, 30)), truth)
    assert counts.false_pixels.tolist() == [18] and counts.false_components.tolist() == [2]
    assert counts.components.tolist() == [3]


def test_a_prediction_serves_one_target():
    truth = image((10, 10), (10, 14), side=3).astype(np.uint8)
    found = np.zeros((40, 40), np.float32)
    found[10:13, 10:17] = 1  # one component, whose centroid is near both
    assert count_image(found, truth).detected.sum() == 1
    assert count_image(found, truth, matching='optimal').detected.sum() == 1


def test_ignored_pixels_count_nowhere():
    truth = image((10, 10)).astype(np.uint8)
    truth[:, 20:] = IGNORED
    found = image((10, 10), (10, 30), (25, 18), side=4)
    counts = count_image(found, truth, curves=True)
    assert counts.pixels == 800 and counts.predicted.tolist() == [16 + 8]
    assert counts.components.tolist() == [2] and counts.false_pixels.tolist() == [8]
    assert counts.above_zero == (9, 24)
    assert counts.target_levels.sum() == 9 and counts.other_levels.sum() == 791
    everything = count_image(found, np.full((40, 40), IGNORED, np.uint8))
    assert everything.pixels == 0 and everything.predicted.tolist() == [0]


def test_above_the_threshold_is_strict():
    truth = image((10, 10)).astype(np.uint8)
    counts = count_image(image((10, 10), value=0.5), truth, (0.25, 0.5))
    assert counts.hits.tolist() == [9, 0]
    # 51/255 is not above 0.2 although 0.2 in double precision is a little less
    fifth = (image((10, 10)) * 51).astype(np.uint8).astype(np.float32) / np.float32(255)
    assert count_image(fifth, truth, (0.2,)).hits.tolist() == [0]


PROBABILITIES = arrays.arrays(
    np.float32,
    (12, 12),
    elements=st.one_of(st.floats(0, 1, width=32), st.sampled_from(LEVELS.astype(float).tolist())),
)


@FEW
@given(PROBABILITIES)
def test_levels_are_those_of_a_search(probability):
    expected = np.searchsorted(LEVELS, probability.astype(np.float64), side='left')
    assert level_of(probability).tolist() == expected.tolist()


@FEW
@given(PROBABILITIES, arrays.arrays(np.uint8, (12, 12), elements=st.sampled_from([0, 1, IGNORED])))
def test_one_pass_is_one_by_one(probability, truth):
    thresholds = (0.75, 0.1, 0.5)
    together = count_image(probability, truth, thresholds, curves=True)
    for index, threshold in enumerate(thresholds):
        alone = count_image(probability, truth, (threshold,))
        for name in ('hits', 'predicted', 'components', 'false_components', 'false_pixels'):
            assert getattr(together, name)[index] == getattr(alone, name)[0], name
        assert together.detected[index].tolist() == alone.detected[0].tolist()
    for index, threshold in enumerate(SWEEP):
        alone = count_image(probability, truth, (threshold,))
        assert together.sweep_detected[index] == alone.detected.sum()
        assert together.sweep_false_pixels[index] == alone.false_pixels[0]
    at_half = LEVELS.tolist().index(0.5) + 1
    assert together.target_levels[at_half:].sum() == together.hits[2]
    both = together.target_levels + together.other_levels
    assert both[at_half:].sum() == together.predicted[2]


@pytest.mark.parametrize(
    ('probability', 'truth', 'said'),
    [
        (np.zeros((4, 5)), np.zeros((5, 4)), 'is 4 x 5, the truth 5 x 4'),
        (np.full((2, 2), 3.5), np.zeros((2, 2)), 'from 3.5 to 3.5'),
        (np.full((2, 2), np.nan), np.zeros((2, 2)), 'probabilities in'),
        (np.zeros((2, 2)), np.full((2, 2), 7), 'has the value 7'),
    ],
)
def test_errors_say_what_is_wrong(probability, truth, said):
    with pytest.raises(ValueError, match=said):
        count_image(probability, truth)
