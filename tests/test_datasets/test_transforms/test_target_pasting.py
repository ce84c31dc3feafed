# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Pasting of targets: image and truth agree, places are free, seeds repeat."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import TRANSFORMS, DefaultScope

from smallobj_mm.datasets import make_synthetic_irstd
from smallobj_mm.datasets.transforms import SyntheticTargets, TargetCopyPaste
from smallobj_mm.datasets.transforms.target_copy_paste import load_patches


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """Config of a data set with targets to cut."""
    root = tmp_path_factory.mktemp('set')
    make_synthetic_irstd(str(root / 'set'), num_images=20, image_size=96, seed=3)
    return dict(type='IRSTDDataset', data_root=str(root / 'set'), split='train')


@pytest.fixture(params=['copy', 'synthetic'])
def build(request, source):
    """Function that builds each of the transforms that paste."""

    def _build(**options):
        options = dict(dict(num_targets=(2, 4), prob=1.0), **options)
        with DefaultScope.overwrite_default_scope('mmseg'):
            if request.param == 'copy':
                return TRANSFORMS.build(dict(type='TargetCopyPaste', sources=[source], **options))
            return TRANSFORMS.build(dict(type='SyntheticTargets', **options))

    return _build


def sample(channels=None, dtype=np.uint8, size=(96, 120), seed=0):
    """A textured background without a target."""
    gray = np.random.default_rng(seed).normal(90, 4, size)
    img = cv2.GaussianBlur(gray, (0, 0), 1)
    img = img if channels is None else np.repeat(img[..., None], channels, axis=2)
    return dict(
        img=img.astype(dtype),
        gt_seg_map=np.zeros(size, np.uint8),
        seg_fields=['gt_seg_map'],
        img_shape=size,
    )


@pytest.mark.parametrize('channels', [None, 1, 3])
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_form_is_kept_and_the_input_too(build, seeded, channels, dtype):
    transform, given_sample = build(), sample(channels, dtype)
    img, truth = given_sample['img'], given_sample['gt_seg_map']
    before = img.copy()
    results = transform(given_sample)
    assert results['img'].shape == before.shape and results['img'].dtype == dtype
    assert results['gt_seg_map'].shape == truth.shape and results['gt_seg_map'].dtype == np.uint8
    assert np.array_equal(img, before) and not truth.any()
    assert results['num_pasted'] >= 2
    if channels == 3:
        assert np.array_equal(results['img'][..., 0], results['img'][..., 2])


def test_truth_and_image_agree(build, seeded):
    for seed in range(20):
        given_sample = sample(seed=seed)
        before = given_sample['img'].astype(int)
        results = build()(given_sample)
        change = np.abs(results['img'].astype(int) - before)
        count, labels = cv2.connectedComponents(results['gt_seg_map'], connectivity=8)
        assert count - 1 == results['num_pasted']
        for label in range(1, count):
            target = (labels == label).astype(np.uint8)
            assert change[target > 0].max() >= 8  # min_contrast
        near = cv2.dilate(results['gt_seg_map'], np.ones((19, 19), np.uint8))
        assert change[near == 0].max() <= 2  # faint tails only
        assert set(np.unique(results['gt_seg_map'])) <= {0, 1}


def test_contrast_stands_out_of_the_background(build, seeded):
    given_sample = sample()
    given_sample['img'] = np.random.default_rng(0).normal(110, 14, (96, 120)).astype(np.uint8)
    before = given_sample['img'].astype(int)
    results = build(opacity=(0, 0))(given_sample)
    change = results['img'].astype(int) - before
    count, labels = cv2.connectedComponents(results['gt_seg_map'], connectivity=8)
    assert count > 1
    assert all(change[labels == label].max() > 2 * 14 for label in range(1, count))


def test_dark_targets(build, seeded):
    given_sample = sample()
    before = given_sample['img'].astype(int)
    results = build(dark_prob=1.0)(given_sample)
    change = results['img'].astype(int) - before
    count, labels = cv2.connectedComponents(results['gt_seg_map'], connectivity=8)
    assert count > 1
    assert all(change[labels == label].min() <= -8 for label in range(1, count))


def test_seeds_repeat(build, seeded):
    outcomes = []
    for seed in (5, 5, 6):
        seeded(seed)
        outcomes.append(build()(sample())['img'])
    assert np.array_equal(outcomes[0], outcomes[1])
    assert not np.array_equal(outcomes[0], outcomes[2])


def test_present_targets_and_ignored_pixels_stay_clear(build, seeded):
    for _ in range(15):
        given_sample = sample()
        truth = given_sample['gt_seg_map']
        truth[20:24, 20:26], truth[50:80, 60:100] = 1, 255
        given_sample['img'][20:24, 20:26] = 200
        results = build(gap=5)(given_sample)
        after = results['gt_seg_map']
        assert (after[50:80, 60:100] == 255).all() and (after == 255).sum() == 30 * 40
        assert (after[20:24, 20:26] == 1).all()
        ring = after[15:29, 15:31].copy()
        ring[5:9, 5:11] = 0
        assert not ring.any()
        assert not (after[45:85, 55:105] == 1).any()


def test_a_full_image_stays_as_it_is(build, seeded):
    given_sample = sample()
    given_sample['gt_seg_map'][::6, ::6] = 1
    results = build(gap=4)(given_sample)
    assert results['num_pasted'] == 0
    assert np.array_equal(results['img'], sample()['img'])
    white = sample()
    white['img'][:] = 255
    assert build()(white)['num_pasted'] == 0  # no room for a brighter target


def test_probabilities_of_empty_and_of_other_images(build, seeded):
    transform = build(prob=0.0, empty_prob=1.0)
    assert transform(sample())['num_pasted'] > 0
    with_target = sample()
    with_target['gt_seg_map'][40:44, 40:44] = 1
    assert transform(with_target)['num_pasted'] == 0
    assert build(prob=0.0)(sample())['num_pasted'] == 0
    assert build(num_targets=(0, 0))(sample())['num_pasted'] == 0
    counts = {build(num_targets=(1, 2))(sample())['num_pasted'] for _ in range(25)}
    assert counts == {1, 2}


def test_calm_places_come_first(build, seeded):
    half = sample(size=(128, 128))
    half['img'][:, :64] = np.random.default_rng(0).normal(100, 16, (128, 64)).astype(np.uint8)
    shares = []
    for calm_prob in (0.0, 1.0):
        transform = build(calm_prob=calm_prob, num_targets=(1, 1))
        right = [(transform(dict(half))['gt_seg_map'][:, 64:] == 1).any() for _ in range(60)]
        shares.append(np.mean(right))
    assert shares[0] < 0.75 < 0.85 < shares[1]


def test_a_tiny_image_gets_what_fits(build, seeded):
    for _ in range(20):
        results = build()(sample(size=(9, 12)))
        assert results['img'].shape == (9, 12)


def test_errors_say_what_to_do(build):
    with pytest.raises(ValueError, match='LoadBinaryMask'):
        build()(dict(img=np.zeros((8, 8), np.uint8)))
    wrong = sample()
    wrong['img'] = wrong['img'].astype(np.int64)
    with pytest.raises(ValueError, match='int64, expected uint8 or float32'):
        build()(wrong)
    stale = dict(sample(), gt_interior_map=np.zeros((96, 120), np.float32))
    with pytest.raises(ValueError, match='before LabelDecoupling'):
        build()(stale)
    other = dict(sample(), gt_seg_map=np.zeros((96, 121), np.uint8))
    with pytest.raises(ValueError, match='equal sizes'):
        build()(other)


@pytest.mark.parametrize(
    'options',
    [
        dict(num_targets=(3, 1)),
        dict(prob=1.5),
        dict(empty_prob=-0.1),
        dict(opacity=(0, 2)),
        dict(gap=-1),
        dict(attempts=0),
        dict(min_contrast=0),
    ],
)
def test_options_out_of_range(build, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        build(**options)


def test_copy_paste_options(source):
    for options in (dict(scale=(0, 1)), dict(gain=(2, 1)), dict(rotate=-1)):
        with pytest.raises(ValueError, match=next(iter(options))):
            TargetCopyPaste([source], **options)
    for sources in ([], source):
        with pytest.raises(ValueError, match='list of configs'):
            TargetCopyPaste(sources)
    assert 'num_targets=(1, 3)' in repr(TargetCopyPaste([source]))


def test_the_pool_is_cut_once_and_shared(source):
    with DefaultScope.overwrite_default_scope('mmseg'):
        pool = load_patches(source)
        assert len(pool) > 10 and load_patches(dict(source)) is pool
        assert len(load_patches(source, max_side=4)) < len(pool)
        with pytest.raises(ValueError, match='no target to paste in the 16 images'):
            load_patches(source, min_snr=1e6)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31 - 1), height=st.integers(1, 70), width=st.integers(1, 70))
def test_any_size(source, seed, height, width):
    np.random.seed(seed)
    with DefaultScope.overwrite_default_scope('mmseg'):
        results = TargetCopyPaste([source], prob=1, num_targets=(1, 2))(
            sample(size=(height, width))
        )
    assert results['img'].shape == results['gt_seg_map'].shape == (height, width)
    assert (results['gt_seg_map'] == 1).any() == (results['num_pasted'] > 0)


def test_synthetic_options():
    for options in (
        dict(kinds=('star',)),
        dict(areas=((5, 2),), area_probs=(1,)),
        dict(area_probs=(1, 2)),
        dict(area_probs=(0, 0, 0, 0)),
        dict(dim_snr=(0, 1)),
        dict(mask_level=1),
        dict(dim_prob=2),
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            SyntheticTargets(**options)
    assert "kinds=('blob',)" in repr(SyntheticTargets(kinds=('blob',)))


def test_areas_are_drawn_from_their_ranges(seeded):
    areas = []
    transform = SyntheticTargets(
        num_targets=(1, 1), prob=1, areas=((4, 9), (40, 60)), area_probs=(1, 3)
    )
    for seed in range(120):
        truth = transform(sample(seed=seed))['gt_seg_map']
        areas.append(int((truth == 1).sum()))
    areas = np.array(areas)
    large = (areas > 20).mean()
    assert 0.6 < large < 0.9
    assert ((areas <= 12) | (areas >= 20)).all()


def test_dim_targets_follow_the_background(seeded):
    noise = sample()
    noise['img'] = np.random.default_rng(0).normal(110, 8, (96, 120)).astype(np.uint8)
    peaks = []
    for dim_prob in (0.0, 1.0):
        transform = SyntheticTargets(
            num_targets=(1, 1), prob=1, dim_prob=dim_prob, opacity=(0, 0), contrast=(100, 120)
        )
        changes = [transform(dict(noise))['img'].astype(int) - noise['img'] for _ in range(30)]
        peaks.append(np.median([change.max() for change in changes]))
    assert peaks[0] > 80 and 14 < peaks[1] < 60


def test_targets_are_as_enlarged_as_the_image(build, seeded):
    areas = []
    for factor in (0.5, 1.0, 2.0):
        given_sample = dict(sample(size=(160, 160)), scale_factor=(factor, factor))
        transform = build(num_targets=(1, 1))
        truths = [transform(dict(given_sample))['gt_seg_map'] for _ in range(60)]
        areas.append(np.mean([truth.sum() for truth in truths]))
    assert 0.6 < areas[0] / areas[1] < 1.6  # made smaller: optics stay as sharp as they are
    assert areas[2] > 1.4 * areas[1]
