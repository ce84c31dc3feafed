# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Properties of label decoupling; its golden values are in reference_parity."""

import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.datasets.label_decoupling import decouple_label, maps_to_uint8
from smallobj_mm.datasets.transforms import LabelDecoupling

MODES = ('authors', 'exact')


@st.composite
def masks(draw):
    """0/1 masks with up to four rectangles, at the borders too, and a few single pixels."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    mask = np.zeros((height, width), np.uint8)
    for _ in range(draw(st.integers(0, 4))):
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[y : y + draw(st.integers(1, 9)), x : x + draw(st.integers(1, 9))] = 1
    if draw(st.booleans()):
        mask[np.random.default_rng(draw(st.integers(0, 99))).random(mask.shape) < 0.05] = 1
    return mask


def in_whole_image(mask):
    """The authors' maps, as the specification says them: without any crop."""
    root = np.sqrt(cv2.distanceTransform(cv2.blur(mask * 255, (5, 5)), cv2.DIST_L2, 5))
    interior = (root / max(root.max(), 1e-9) * 255).astype(np.uint8)
    return interior, cv2.subtract(mask * 255, interior)


@settings(max_examples=150, deadline=None)
@given(masks())
def test_authors_maps_do_not_depend_on_the_crop(mask):
    interior, boundary = decouple_label(mask, 'authors')
    for found, expected in zip(maps_to_uint8(mask, interior), in_whole_image(mask)):
        assert np.array_equal(found, expected)
    assert np.allclose(boundary * 255, in_whole_image(mask)[1], atol=1e-4)


@settings(max_examples=100, deadline=None)
@given(masks())
def test_exact_maps_add_up_and_each_target_reaches_one(mask):
    interior, boundary = decouple_label(mask, 'exact')
    assert interior.dtype == boundary.dtype == np.float32
    assert np.array_equal(interior + boundary, mask.astype(np.float32))
    assert np.array_equal(interior > 0, mask > 0)
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    for target in range(1, count):
        assert interior[labels == target].max() == 1
    parts = maps_to_uint8(mask, interior)
    assert np.array_equal(parts[0] + parts[1], mask * 255)


@settings(max_examples=60, deadline=None)
@given(masks(), st.booleans(), st.booleans(), st.integers(0, 99))
def test_all_options(mask, blur, per_target, seed):
    ignored = np.random.default_rng(seed).random(mask.shape) < 0.1
    truth = np.where(ignored, 255, mask).astype(np.uint8)
    interior, boundary = decouple_label(truth, blur=blur, per_target=per_target, ignore_index=255)
    for found in (interior, boundary):
        assert found.shape == mask.shape and found.dtype == np.float32
        assert found.min() >= 0 and found.max() <= 1
        assert not found[ignored].any()
    assert not boundary[mask == 0].any()
    if (truth == 1).any():
        assert interior.max() == 1 or blur
    if not blur:
        assert np.array_equal(interior + boundary, (truth == 1).astype(np.float32))
    # the mirror image has the mirrored maps: where the peak is does not matter
    flipped = decouple_label(truth[:, ::-1], blur=blur, per_target=per_target, ignore_index=255)
    assert np.allclose(flipped[0][:, ::-1], interior, atol=1 / 255 + 1e-6)


def test_weaker_target():
    mask = np.zeros((30, 40), np.uint8)
    mask[3:5, 3:5] = 1
    mask[10:21, 20:31] = 1
    weak = {
        (blur, per_target): decouple_label(mask, blur=blur, per_target=per_target)[0][:8].max()
        for blur in (False, True)
        for per_target in (False, True)
    }
    assert weak[False, True] == weak[True, True] == 1
    assert weak[False, False] == pytest.approx(np.sqrt(1 / 6), abs=0.03)
    assert weak[False, False] < weak[True, False] < 1


def test_unknown_mode():
    with pytest.raises(ValueError, match="mode is 'x', expected one of"):
        decouple_label(np.zeros((2, 2)), 'x')
    with pytest.raises(ValueError, match="mode is 'x'"):
        LabelDecoupling('x')


@pytest.mark.parametrize('mode', MODES)
def test_transform(mode):
    truth = np.zeros((20, 20), np.uint8)
    truth[5:9, 5:9], truth[0] = 1, 255
    results = LabelDecoupling(mode)(dict(gt_seg_map=truth, seg_fields=['gt_seg_map']))
    assert results['seg_fields'] == ['gt_seg_map', 'gt_interior_map', 'gt_boundary_map']
    interior, boundary = decouple_label(truth == 1, mode)
    assert np.array_equal(results['gt_interior_map'], interior)
    assert np.array_equal(results['gt_boundary_map'], boundary)
    assert LabelDecoupling(mode)(results)['seg_fields'] == results['seg_fields']
    with pytest.raises(ValueError, match='put LoadBinaryMask before it'):
        LabelDecoupling(mode)({})


def test_mask_coded_255_is_pointed_out_once(monkeypatch):
    lines = []
    monkeypatch.setattr(LabelDecoupling, '_warned', False)
    monkeypatch.setattr(
        'smallobj_mm.datasets.transforms.label_decoupling.print_log',
        lambda text, **_: lines.append(text),
    )
    truth = np.zeros((9, 9), np.uint8)
    truth[4, 4] = 255
    LabelDecoupling()(dict(gt_seg_map=truth, seg_map_path=None))  # a picture without a mask file
    assert not lines
    for _ in range(2):
        assert not LabelDecoupling()(dict(gt_seg_map=truth))['gt_interior_map'].any()
    assert len(lines) == 1 and 'ignore_index=None' in lines[0]
    assert LabelDecoupling(ignore_index=None)(dict(gt_seg_map=truth))['gt_interior_map'].any()


@pytest.mark.parametrize('mode', MODES)
def test_speed(mode):
    mask = np.zeros((256, 256), np.uint8)
    mask[20:27, 10:15] = mask[200:208, 230:240] = mask[100:104, 128:133] = 1
    times = []
    for _ in range(15):
        start = time.perf_counter()
        decouple_label(mask, mode, ignore_index=255)
        times.append(time.perf_counter() - start)
    assert min(times) < 1.5e-3  # 0.3 ms on an idle core


def test_not_decoupled():
    """Both maps are the mask, ignored pixels aside."""
    mask = np.zeros((9, 11), np.uint8)
    mask[3:6, 4:9] = 1
    mask[0] = 255
    interior, boundary = decouple_label(mask, mode='none', ignore_index=255)
    assert np.array_equal(interior, mask == 1) and np.array_equal(boundary, mask == 1)
    assert interior.dtype == boundary.dtype == np.float32 and interior is not boundary
    step = LabelDecoupling(mode='none')
    results = step(dict(gt_seg_map=mask))
    assert np.array_equal(results['gt_interior_map'], mask == 1)
