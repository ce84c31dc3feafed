# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.datasets.transforms import MosaicAffine, SmallObjectMosaic
from smallobj_mm.datasets.transforms.affine import project_boxes

STILL = dict(scale=0, translate=0)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    scale=st.floats(0, 0.9),
    translate=st.floats(0, 0.5),
    boxed=st.booleans(),
)
def test_labels_follow_their_boxes(painted, seed, scale, translate, boxed):
    rng = np.random.default_rng(seed)
    sample = painted.sample(rng, 120, 160, count=5, ignored=1, boxed=boxed)
    np.random.seed(seed)
    out = MosaicAffine(img_scale=(96, 72), scale=scale, translate=translate)(sample)
    assert out['img'].shape == (72, 96, 3)
    assert isinstance(out['gt_bboxes'], np.ndarray) != boxed
    painted.assert_aligned(out, atol=12)
    sides = painted.boxes(out)[:, 2:] - painted.boxes(out)[:, :2]
    assert (sides[~out['gt_ignore_flags']] > 2).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_corners_land_inside_the_box_with_rotation_and_shear(painted, seed):
    sample = painted.sample(np.random.default_rng(seed), 100, 100, count=1)
    boxes = painted.boxes(sample).copy()
    np.random.seed(seed)
    transform = MosaicAffine(img_scale=(300, 300), scale=0.3, translate=0, degrees=45, shear=10)
    out = transform(sample)
    corners = boxes[0, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)
    matrix = out['homography_matrix'].astype(np.float64)
    moved = corners @ matrix[:2, :2].T + matrix[:2, 2]
    low, high = moved.min(axis=0), moved.max(axis=0)
    np.testing.assert_allclose(painted.boxes(out)[0], np.r_[low, high], atol=1e-3)
    painted.assert_aligned(out)


def test_identity_cuts_out_the_middle_of_the_canvas(painted, seeded):
    sample = painted.sample(np.random.default_rng(0), 60, 90)
    out = SmallObjectMosaic(img_scale=(90, 60))(dict(sample, mix_results=[]))
    out = MosaicAffine(img_scale=(90, 60), **STILL)(out)
    np.testing.assert_array_equal(out['img'], sample['img'])
    np.testing.assert_allclose(painted.boxes(out), painted.boxes(sample), atol=1e-4)


@pytest.mark.parametrize('scale', [0.5, 1.7])
def test_boxes_fit_the_pixels_to_a_fraction_of_a_pixel(painted, monkeypatch, scale):
    sample = painted.sample(np.random.default_rng(1), 100, 120, count=1)
    transform = MosaicAffine(img_scale=(240, 200), **STILL)
    monkeypatch.setattr(transform, '_draw', lambda: np.array([scale, 0.01, 0, 0, 0, 0]))
    out = transform(sample)
    assert len(out['gt_bboxes']) == 1
    painted.assert_tight(out, 0)


def test_scales_about_the_center(monkeypatch):
    transform = MosaicAffine(img_scale=(100, 100), **STILL)
    monkeypatch.setattr(transform, '_draw', lambda: np.array([0.1, 0, 0, 0, 0, 0]))
    np.testing.assert_allclose(transform.matrix(200, 200) @ [100, 100, 1], [50, 50, 1])


def test_scale_and_shift_stay_in_their_ranges(seeded):
    draws = np.array([MosaicAffine(degrees=5, shear=2)._draw() for _ in range(500)])
    assert draws[:, 0].min() >= 0.1 and draws[:, 0].max() <= 1.9
    assert np.ptp(draws[:, 0]) > 1.7
    assert np.abs(draws[:, 1:3]).max() <= 0.2
    assert np.abs(draws[:, 3]).max() <= np.deg2rad(5)
    assert np.abs(draws[:, 4:]).max() <= np.deg2rad(2)


def test_drops_what_lost_too_much(painted):
    sample = painted.sample(np.random.default_rng(2), 200, 200, count=4)
    sample['gt_bboxes'].tensor[:] = sample['gt_bboxes'].tensor.new_tensor(
        [
            [10, 60, 59, 100],  # only 9 of 49 columns are left of it
            [80, 80, 82, 120],  # two pixels wide
            [60, 90, 140, 93],  # longer than 20 to 1
            [90, 90, 110, 110],
        ]
    )
    sample['gt_bboxes_labels'] = np.arange(4)
    out = MosaicAffine(img_scale=(100, 100), min_area_ratio=0.2, **STILL)(dict(sample))
    np.testing.assert_array_equal(out['gt_bboxes_labels'], [3])
    loose = dict(min_area_ratio=0.1, min_size=0, max_aspect=50)
    out = MosaicAffine(img_scale=(100, 100), **loose, **STILL)(dict(sample))
    np.testing.assert_array_equal(out['gt_bboxes_labels'], [0, 1, 2, 3])
    sample['gt_ignore_flags'][:] = True
    out = MosaicAffine(img_scale=(100, 100), min_area_ratio=0.2, **STILL)(dict(sample))
    np.testing.assert_array_equal(out['gt_bboxes_labels'], [0, 1, 2, 3])


def test_homography_is_chained(seeded, painted):
    sample = painted.sample(np.random.default_rng(3))
    sample['homography_matrix'] = np.diag([2.0, 2.0, 1.0]).astype(np.float32)
    out = MosaicAffine(img_scale=(64, 64), **STILL)(sample)
    expected = [[2, 0, 32 - 45], [0, 2, 32 - 30], [0, 0, 1]]
    np.testing.assert_allclose(out['homography_matrix'], expected)


def test_gray_image_and_no_boxes(painted, seeded):
    sample = painted.sample(np.random.default_rng(4), count=0)
    for img in (sample['img'][..., 0], sample['img'][..., :1]):
        out = MosaicAffine(img_scale=(64, 48))(dict(sample, img=img))
        assert out['img'].shape == (48, 64, *img.shape[2:])


def test_projection_is_that_of_opencv():
    matrix = np.vstack([cv2.getRotationMatrix2D((10, 20), 30, 1.5), [0, 0, 1]])
    boxes = np.array([[1, 2, 30, 40], [5, 5, 6, 9]], dtype=np.float32)
    for box, projected in zip(boxes, project_boxes(boxes, matrix)):
        corners = box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(1, 4, 2)
        moved = cv2.transform(corners, matrix[:2])[0]
        np.testing.assert_allclose(projected, np.r_[moved.min(0), moved.max(0)], rtol=1e-5)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(scale=1),
        dict(scale=-0.1),
        dict(translate=-1),
        dict(shear=45),
        dict(min_area_ratio=1),
        dict(max_aspect=0.5),
        dict(img_scale=(1.5, 2)),
    ],
)
def test_errors_name_what_is_wrong(kwargs):
    with pytest.raises(ValueError, match=f'MosaicAffine: {next(iter(kwargs))} is'):
        MosaicAffine(**kwargs)
