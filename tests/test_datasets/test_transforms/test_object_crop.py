# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.datasets.transforms import ObjectCenteredCrop
from smallobj_mm.registry import TRANSFORMS


def scattered(boxes, labels, size=(200, 300), ignore=None):
    """An image whose pixel values tell their place, with given boxes."""
    height, width = size
    img = (np.arange(height)[:, None] * 7 + np.arange(width)) % 251
    return dict(
        img=img.astype(np.uint8),
        img_path='scattered.png',
        img_shape=size,
        gt_bboxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        gt_bboxes_labels=np.array(labels, dtype=np.int64),
        gt_ignore_flags=np.array(ignore or [False] * len(labels)),
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    crop=st.tuples(st.integers(8, 140), st.integers(8, 140)),
    boxed=st.booleans(),
    cut=st.sampled_from(['ignore', 'drop']),
)
def test_boxes_follow_the_pixels(painted, seed, crop, boxed, cut):
    rng = np.random.default_rng(seed)
    sample = painted.sample(rng, *rng.integers(60, 130, size=2), ignored=1, boxed=boxed)
    before = painted.boxes(sample).copy()
    np.random.seed(seed)
    out = ObjectCenteredCrop(crop, prob=0.5, cut_objects=cut)(dict(sample))
    assert out['img'].shape == (*crop, 3) and isinstance(out['gt_bboxes'], np.ndarray) != boxed
    painted.assert_aligned(out)
    shift = out['homography_matrix']
    move = np.array([shift[0, 2], shift[1, 2]])
    assert (move == np.rint(move)).all()  # native resolution: pixels are moved, not resampled
    moved = (before + np.tile(move, 2)).clip(0, np.tile(crop[::-1], 2))
    rows = {tuple(row) for row in moved.tolist()}
    assert all(tuple(row) in rows for row in painted.boxes(out).tolist())


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    x=st.floats(0, 280, width=32),
    y=st.floats(0, 180, width=32),
)
def test_the_chosen_object_is_whole(seed, x, y):
    sample = scattered([[x, y, x + 15.5, y + 12.25]], [0])
    np.random.seed(seed)
    out = ObjectCenteredCrop((40, 48), prob=1)(sample)
    (x1, y1, x2, y2) = out['gt_bboxes'][0]
    assert min(x1, y1) >= 0 and x2 <= 48 and y2 <= 40
    assert x2 - x1 == pytest.approx(15.5, abs=1e-3) and y2 - y1 == pytest.approx(12.25, abs=1e-3)


def test_object_lies_anywhere_in_the_window(seeded):
    crop = ObjectCenteredCrop(50, prob=1)
    corners = np.array(
        [crop(scattered([[100, 100, 110, 110]], [0]))['gt_bboxes'][0, :2] for _ in range(500)]
    )
    assert (corners.min(axis=0) == 0).all() and (corners.max(axis=0) == 40).all()
    np.testing.assert_allclose(corners.mean(axis=0), 20, atol=1.5)


def test_object_larger_than_the_window_fills_it(seeded):
    sample = scattered([[50, 60, 250, 160]], [0])
    for _ in range(20):
        out = ObjectCenteredCrop(40, prob=1, min_area_ratio=0)(dict(sample))
        np.testing.assert_array_equal(out['gt_bboxes'], [[0, 0, 40, 40]])
    # By default so small a part of it is nothing to learn a box from.
    out = ObjectCenteredCrop(40, prob=1)(dict(sample))
    assert out['gt_ignore_flags'].all() and len(out['gt_bboxes']) == 1


def test_without_objects_or_luck_the_window_is_anywhere(seeded):
    for sample, prob in (
        (scattered([], []), 1),
        (scattered([[0, 0, 5, 5]], [0]), 0),
        (scattered([[0, 0, 5, 5]], [0], ignore=[True]), 1),
    ):
        crop = ObjectCenteredCrop((40, 60), prob=prob)
        moves = np.array([crop(dict(sample))['homography_matrix'][:2, 2] for _ in range(1500)])
        assert (moves.max(axis=0) == 0).all()
        assert (moves.min(axis=0) <= [-238, -159]).all() and (moves >= [-240, -160]).all()


def test_cut_objects_are_ignored_or_dropped(monkeypatch):
    sample = scattered(
        [[0, 0, 20, 20], [30, 30, 40, 40], [10, 0, 20, 20]], [0, 1, 2], ignore=[0, 0, 1]
    )
    for cut, labels, flags in (('ignore', [0, 1, 2], [1, 0, 1]), ('drop', [1, 2], [0, 1])):
        crop = ObjectCenteredCrop(50, cut_objects=cut)
        # 5 of 20 columns of the first object remain, and of the ignore region 5 of 10.
        monkeypatch.setattr(crop, '_corner', lambda annotations, size: np.array([15, 0]))
        out = crop(dict(sample))
        assert out['gt_bboxes_labels'].tolist() == labels
        assert out['gt_ignore_flags'].tolist() == [bool(flag) for flag in flags]
        np.testing.assert_array_equal(out['gt_bboxes'][-1], [0, 0, 5, 20])


def test_small_images_are_padded(seeded):
    sample = scattered([[3, 4, 9, 10]], [0], size=(20, 30))
    places = set()
    for _ in range(30):
        out = ObjectCenteredCrop(64, pad_val=7)(dict(sample))
        x, y = out['homography_matrix'][:2, 2].astype(int)
        places.add((x, y))
        np.testing.assert_array_equal(out['img'][y : y + 20, x : x + 30], sample['img'])
        assert (out['img'] == 7).sum() >= 64 * 64 - 600
        np.testing.assert_array_equal(out['gt_bboxes'], [[x + 3, y + 4, x + 9, y + 10]])
    assert len(places) > 20 and all(0 <= x <= 34 and 0 <= y <= 44 for x, y in places)


def test_weights_choose_rare_classes_and_small_objects(seeded):
    boxes = [[10, 10, 16, 16], [100, 100, 140, 140], [250, 150, 290, 190]]
    sample = scattered(boxes, [0, 1, 1])

    def shares(**options):
        crop = ObjectCenteredCrop(50, prob=1, **options)
        seen = np.zeros(3)
        for _ in range(600):
            move = crop(dict(sample))['homography_matrix'][:2, 2]
            inside = np.array(boxes) + np.tile(move, 2)
            seen += ((inside >= 0) & (inside <= 50)).all(axis=1)
        return seen / seen.sum()

    np.testing.assert_allclose(shares(), [1 / 3] * 3, atol=0.06)
    np.testing.assert_allclose(shares(class_weights=[4, 1]), [4 / 6, 1 / 6, 1 / 6], atol=0.06)
    np.testing.assert_allclose(shares(class_weights=[0, 1]), [0, 0.5, 0.5], atol=0.06)
    np.testing.assert_allclose(shares(size_weights=[(6.5, 8)]), [0.8, 0.1, 0.1], atol=0.06)
    np.testing.assert_allclose(
        shares(size_weights=[(6, 8), (40, 0), (40.5, 1)]), [0, 0.5, 0.5], atol=0.06
    )


def test_same_seed_same_crop_and_the_input_stays(painted, seeded):
    sample = painted.sample(np.random.default_rng(3), 90, 120)
    img, boxes = sample['img'].copy(), painted.boxes(sample).copy()
    outs = []
    for _ in range(2):
        seeded(7)
        outs.append(ObjectCenteredCrop(48)(dict(sample)))
    np.testing.assert_array_equal(outs[0]['img'], outs[1]['img'])
    np.testing.assert_array_equal(painted.boxes(outs[0]), painted.boxes(outs[1]))
    np.testing.assert_array_equal(sample['img'], img)
    np.testing.assert_array_equal(painted.boxes(sample), boxes)


def test_errors_name_what_is_wrong(painted):
    for options, name in (
        (dict(crop_size=0), 'crop_size'),
        (dict(crop_size=(1, 2, 3)), 'crop_size'),
        (dict(crop_size=1.5), 'crop_size'),
        (dict(crop_size=8, prob=1.1), 'prob'),
        (dict(crop_size=8, min_area_ratio=1), 'min_area_ratio'),
        (dict(crop_size=8, cut_objects='keep'), 'cut_objects'),
        (dict(crop_size=8, class_weights=[1, -1]), 'class_weights'),
        (dict(crop_size=8, size_weights=[(8, 1), (4, 1)]), 'size_weights'),
        (dict(crop_size=8, size_weights=[(8, -1)]), 'size_weights'),
        (dict(crop_size=8, size_weights=[8]), 'size_weights'),
    ):
        with pytest.raises(ValueError, match=f'ObjectCenteredCrop: {name} is'):
            ObjectCenteredCrop(**options)
    sample = scattered([[10, 10, 16, 16]], [2])
    with pytest.raises(ValueError, match='2 numbers, but there are objects of class 2'):
        ObjectCenteredCrop(8, prob=1, class_weights=[1, 1])(sample)
    with pytest.raises(ValueError, match='gt_masks'):
        ObjectCenteredCrop(8)(dict(sample, gt_masks=None))


def test_registered():
    crop = TRANSFORMS.build(dict(type='ObjectCenteredCrop', crop_size=(32, 48), prob=0.5))
    assert 'crop_size=(32, 48), prob=0.5' in repr(crop)
