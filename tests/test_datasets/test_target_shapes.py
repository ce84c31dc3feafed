# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Synthetic targets: areas, profiles as measured on real masks."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.datasets.target_shapes import AREA_PROBS, AREAS, KINDS, draw_target


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**31),
    area=st.floats(1, 150),
    kind=st.sampled_from(sorted(KINDS)),
    psf=st.floats(0.3, 2),
    level=st.floats(0.1, 0.8),
)
def test_every_target_is_one_piece_and_fits_its_mask(seed, area, kind, psf, level):
    patch = draw_target(np.random.default_rng(seed), area, kind, psf, level)
    assert patch.residual.shape == patch.weight.shape == patch.mask.shape
    assert patch.residual.dtype == patch.weight.dtype == np.float32
    assert cv2.connectedComponents(patch.mask, connectivity=8)[0] == 2
    contribution = patch.residual * patch.weight
    assert contribution.max() <= 1 + 1e-5
    assert (contribution[patch.mask == 0] <= level + 1e-5).all()
    assert (contribution[patch.mask > 0] >= level - 1e-5).all()
    border = np.ones_like(patch.mask)
    border[1:-1, 1:-1] = 0
    assert contribution[border > 0].max() < max(0.3, level)  # not cut off


@pytest.mark.parametrize('kind', sorted(KINDS))
@pytest.mark.parametrize('area', [18, 40, 80])
def test_areas_are_met(kind, area):
    rng = np.random.default_rng(0)
    areas = [draw_target(rng, area, kind).mask.sum() for _ in range(60)]
    assert 0.7 * area < np.median(areas) < 1.35 * area


def test_profiles_are_those_of_real_masks():
    """Border pixels at 0.55-0.65 of the peak, the next ones outside at 0.1-0.25."""
    rng = np.random.default_rng(0)
    inner, outer = [], []
    for (low, high), kind in zip(AREAS, KINDS):
        for _ in range(40):
            patch = draw_target(rng, rng.uniform(low, high), kind)
            mask = np.pad(patch.mask, 2)
            contribution = np.pad(patch.residual * patch.weight, 2)
            kernel = np.ones((3, 3), np.uint8)
            inner.append(contribution[(mask - cv2.erode(mask, kernel)) > 0].mean())
            outer.append(contribution[(cv2.dilate(mask, kernel) - mask) > 0].mean())
    assert 0.5 < np.median(inner) < 0.68
    assert 0.08 < np.median(outer) < 0.25


def test_probabilities_sum_to_one():
    assert sum(AREA_PROBS) == pytest.approx(1) and len(AREAS) == len(AREA_PROBS)
