# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Patches of targets: what is cut out comes back, whatever the background."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.datasets.target_patches import (
    TargetPatch,
    add_patch,
    cut_all,
    cut_targets,
    warp_patch,
)


def scene(level=60.0, slope=0.5, contrast=80.0, sigma=1.6, center=(30, 34), noise=0.0):
    """A Gaussian target on a ramp, with the mask where it is above a third of its peak."""
    rows, columns = np.mgrid[:64, :72].astype(np.float32)
    blob = np.exp(-((rows - center[0]) ** 2 + (columns - center[1]) ** 2) / (2 * sigma**2))
    img = level + slope * columns + contrast * blob
    img = img + np.random.default_rng(0).normal(0, noise, img.shape)
    return np.clip(np.rint(img), 0, 255).astype(np.uint8), (blob > 0.35).astype(np.uint8)


def test_a_target_comes_without_its_background():
    (patch,) = cut_targets(*scene())
    assert patch.contrast == pytest.approx(80, abs=2)
    assert patch.mask.sum() == scene()[1].sum()
    assert patch.residual[patch.mask > 0].max() == pytest.approx(1)
    assert patch.weight[patch.mask > 0].min() == 1 and patch.weight.min() < 0.1
    outer = (patch.weight > 0) & (patch.weight < 0.1)
    assert np.abs(patch.residual[outer]).max() < 0.06  # the ramp has gone


def test_pasting_back_restores_the_image():
    img, mask = scene()
    (patch,) = cut_targets(img, mask)
    plain = scene(contrast=0)[0]
    truth = np.zeros_like(mask)
    top, left = (int(axis.min()) for axis in np.nonzero(mask))
    inner_top, inner_left = (int(axis.min()) for axis in np.nonzero(patch.mask))
    add_patch(plain, truth, patch, top - inner_top, left - inner_left, patch.contrast)
    assert np.array_equal(truth, mask)
    assert np.abs(plain.astype(int) - img).max() <= 5


def test_dark_targets_have_negative_contrast_and_positive_residuals():
    (patch,) = cut_targets(*scene(level=150, contrast=-70))
    assert patch.contrast == pytest.approx(-70, abs=2) and patch.residual.max() == 1


@pytest.mark.parametrize(
    'kwargs', [dict(center=(1, 30)), dict(contrast=4, noise=6), dict(contrast=0)]
)
def test_targets_at_the_border_or_without_contrast_are_left_out(kwargs):
    assert cut_targets(*scene(**kwargs)) == []


def test_long_targets_and_empty_masks_give_nothing():
    img, mask = scene()
    assert cut_targets(img, mask, max_side=2) == []
    assert cut_all([(img, np.zeros_like(mask)), (img, mask)])[0].mask.any()


def test_a_neighbor_does_not_come_along():
    img, mask = scene()
    img[28:33, 42:46], mask[28:33, 42:46] = 255, 1
    first, second = sorted(cut_targets(img, mask), key=lambda p: p.contrast)
    assert first.contrast == pytest.approx(80, abs=4) and second.contrast > 150
    assert first.residual[first.weight > 0].max() <= 1.1


@settings(deadline=None, max_examples=60)
@given(
    sigma=st.floats(0.6, 4),
    angle=st.floats(-180, 180),
    scale=st.floats(0.25, 2.5),
    flip=st.booleans(),
)
def test_warped_targets_stay_whole(sigma, angle, scale, flip):
    (patch,) = cut_targets(*scene(sigma=sigma, contrast=120))
    warped = warp_patch(patch, angle, scale, flip)
    assert warped.residual.shape == warped.weight.shape == warped.mask.shape
    assert warped.residual.dtype == warped.weight.dtype == np.float32
    assert cv2.connectedComponents(warped.mask, connectivity=8)[0] == 2
    contribution = warped.residual * warped.weight
    assert contribution[warped.mask > 0].max() == pytest.approx(1, abs=0.02)
    assert contribution.max() <= 1.1  # the peak is on the mask
    expected = max(patch.mask.sum() * scale**2, 4)
    assert 0.7 * expected - 2 <= warped.mask.sum() <= 1.45 * expected + 4


def test_thin_shapes_do_not_fall_apart():
    mask = np.zeros((21, 21), np.uint8)
    mask[10, 3:18] = mask[3:18, 10] = 1
    patch = TargetPatch(mask.astype(np.float32), mask.astype(np.float32), mask, 50.0)
    for angle in range(0, 180, 15):
        warped = warp_patch(patch, angle, 0.6, False)
        assert cv2.connectedComponents(warped.mask, connectivity=8)[0] == 2


@settings(deadline=None, max_examples=60)
@given(
    top=st.integers(-30, 90),
    left=st.integers(-30, 90),
    contrast=st.floats(-300, 300),
    opacity=st.floats(0, 1),
    channels=st.sampled_from([None, 1, 3]),
    dtype=st.sampled_from([np.uint8, np.float32]),
)
def test_adding_anywhere(top, left, contrast, opacity, channels, dtype):
    (patch,) = cut_targets(*scene())
    shape = (64, 72) if channels is None else (64, 72, channels)
    img = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    before, truth = img.copy(), np.zeros((64, 72), np.uint8)
    add_patch(img, truth, patch, top, left, contrast, opacity)
    assert img.dtype == dtype and img.min() >= 0 and img.max() <= 255
    height, width = patch.mask.shape
    changed = img != before if channels is None else (img != before).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert ((rows >= top) & (rows < top + height)).all()
    assert ((columns >= left) & (columns < left + width)).all()
    inside = patch.mask[max(-top, 0) : max(64 - top, 0), max(-left, 0) : max(72 - left, 0)]
    assert truth.sum() == inside.sum()


def test_opacity_hides_the_texture():
    (patch,) = cut_targets(*scene(sigma=5))
    texture = np.random.default_rng(0).normal(100, 10, (64, 72)).astype(np.float32)
    spreads = []
    for opacity in (0.0, 1.0):
        img, truth = texture.copy(), np.zeros((64, 72), np.uint8)
        add_patch(img, truth, patch, 10, 10, 1e-6, opacity)
        spreads.append(img[truth > 0].std())
    assert spreads[0] > 8 and spreads[1] < 3
