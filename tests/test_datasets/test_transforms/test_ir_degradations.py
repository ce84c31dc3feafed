# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Degradations: form kept, seeds repeat, targets stay visible, truth untouched; in both stacks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from smallobj_mm.datasets.transforms import (
    RandomBitDepth,
    RandomClutter,
    RandomDefocus,
    RandomFixedPattern,
    RandomIRIntensity,
    RandomJPEG,
    RandomPolarity,
    RandomSensorNoise,
    RandomVignetting,
)
from smallobj_mm.datasets.transforms.degradation import tolerable_noise

CLASSES = [
    RandomIRIntensity,
    RandomPolarity,
    RandomDefocus,
    RandomSensorNoise,
    RandomFixedPattern,
    RandomVignetting,
    RandomBitDepth,
    RandomJPEG,
    RandomClutter,
]


def sample(shape=(48, 64), dtype=np.uint8, contrast=60, seed=0):
    """A smooth background with one target of 4x5 px."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    img = 80 + 0.3 * rows + 0.2 * columns + rng.normal(0, 1, shape[:2])
    truth = np.zeros(shape[:2], np.uint8)
    truth[20:24, 30:35] = 1
    img[truth == 1] += contrast
    if len(shape) == 3:
        img = np.repeat(img[..., None], shape[2], axis=2)
    return dict(img=img.astype(dtype), gt_seg_map=truth, seg_fields=['gt_seg_map'])


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 2**31 - 1),
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    channels=st.sampled_from([None, 1, 2, 3]),
    dtype=st.sampled_from([np.uint8, np.float32]),
)
@pytest.mark.parametrize('transform', [cls(prob=1) for cls in CLASSES], ids=lambda t: type(t))
def test_form_is_kept_and_seeds_repeat(transform, seed, height, width, channels, dtype):
    shape = (height, width) if channels is None else (height, width, channels)
    img = np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)
    if channels is not None:
        img[:] = img[..., :1]
    truth = np.zeros((height, width), np.uint8)
    truth[: height // 3, : width // 3] = 1
    before, truth_before = img.copy(), truth.copy()
    outcomes = []
    for _ in range(2):
        np.random.seed(seed)
        outcomes.append(transform(dict(img=img, gt_seg_map=truth))['img'])
    first, second = outcomes
    assert first.shape == shape and first.dtype == dtype
    # OpenCV's filters round single precision by how the array lies in memory.
    rounding = 1e-5 if dtype == np.float32 else 0
    np.testing.assert_allclose(first, second, rtol=rounding)
    assert first.flags.c_contiguous
    assert first.min() >= 0 and first.max() <= 255 and np.isfinite(first).all()
    assert np.array_equal(img, before) and np.array_equal(truth, truth_before)
    if channels == 3 and not isinstance(transform, RandomJPEG):
        np.testing.assert_allclose(first[..., 0], first[..., 2], rtol=rounding)


@pytest.mark.parametrize('cls', CLASSES)
def test_each_changes_the_image_or_leaves_it(cls, seeded):
    given_sample = sample()
    unchanged = cls(prob=0)(dict(given_sample))
    assert unchanged['img'] is given_sample['img']
    changed = sum(
        not np.array_equal(cls(prob=1)(dict(given_sample))['img'], given_sample['img'])
        for _ in range(10)
    )
    assert changed >= 8
    with pytest.raises(ValueError, match='int64, expected uint8 or float32'):
        cls()(dict(img=np.zeros((4, 4), np.int64)))
    with pytest.raises(ValueError, match='prob is 2'):
        cls(prob=2)
    assert 'prob=1' in repr(cls(prob=1))


def contrast_of(results):
    """Mean of the target less the mean around it."""
    img = results['img'].astype(float)
    inside = results['gt_seg_map'] == 1
    around = np.zeros_like(inside)
    around[15:29, 25:40] = True
    return img[inside].mean() - np.median(img[around & ~inside])


@pytest.mark.parametrize('cls', [c for c in CLASSES if c is not RandomPolarity])
def test_targets_stay_brighter_than_what_surrounds_them(cls, seeded):
    transform = cls(prob=1)
    for seed in range(60):
        results = transform(sample(seed=seed))
        assert contrast_of(results) > 60 * 0.2, seed


def test_polarity_turns_contrast_around():
    assert contrast_of(RandomPolarity(prob=1)(sample())) == pytest.approx(
        -contrast_of(sample()), abs=1
    )


def test_noise_spares_the_weakest_target(seeded):
    for contrast, dim in ((60, False), (6, True)):
        given_sample = sample(contrast=contrast, dtype=np.float32)
        limit = tolerable_noise(given_sample['img'][..., None], given_sample['gt_seg_map'], 6)
        assert limit == pytest.approx(contrast * 20**0.5 / 6, rel=0.35)
        noisy = RandomSensorNoise(read=(8, 8), shot=(0, 0), prob=1)(dict(given_sample))['img']
        deviation = (noisy - given_sample['img']).std()
        assert deviation == pytest.approx(min(8, limit), rel=0.1) and (deviation < 7) == dim
        free = RandomSensorNoise(read=(8, 8), shot=(0, 0), target_snr=0, prob=1)
        assert (free(dict(given_sample))['img'] - given_sample['img']).std() > 7.5
    assert tolerable_noise(np.zeros((9, 9, 1), np.float32), None, 6) == np.inf


def test_shot_noise_grows_with_light(seeded):
    img = np.full((100, 200), 20, np.float32)
    img[:, 100:] = 180
    noisy = RandomSensorNoise(read=(0, 0), shot=(0.2, 0.2), prob=1)(dict(img=img))['img'] - img
    assert noisy[:, :100].std() == pytest.approx(2, rel=0.1)
    assert noisy[:, 100:].std() == pytest.approx(6, rel=0.1)


def test_stripes_are_the_same_along_a_column_or_a_row(seeded):
    flat = np.full((40, 50), 100, np.float32)
    for row_prob, axis in ((0, 0), (1, 1)):
        transform = RandomFixedPattern(gain=(0, 0), row_prob=row_prob, prob=1, stripes=(2, 2))
        pattern = transform(dict(img=flat))['img']
        assert pattern.std(axis=axis).max() < 1e-4 and pattern.std() > 1


def test_intensity_keeps_the_range_apart_from_the_clip(seeded):
    img = np.linspace(60, 200, 4800, dtype=np.float32).reshape(60, 80)
    spans = []
    for _ in range(100):
        changed = RandomIRIntensity(prob=1, clip=0.03, gamma=(1, 1))(dict(img=img))['img']
        assert (changed == 0).mean() < 0.04 and (changed == 255).mean() < 0.04
        spans.append(changed.max() - changed.min())
    assert min(spans) < 80 and max(spans) > 230
    assert min(spans) >= 39


def test_bit_depth_leaves_few_levels(seeded):
    img = np.arange(256, dtype=np.uint8).reshape(16, 16)
    counts = [len(np.unique(RandomBitDepth((4, 4), 1)(dict(img=img))['img'])) for _ in range(5)]
    assert all(60 <= count <= 66 for count in counts)


def test_a_blurred_point_keeps_its_sum(seeded):
    img = np.zeros((31, 31), np.float32)
    img[15, 15] = 200
    for disk_prob in (0, 1):
        blurred = RandomDefocus((0.8, 0.8), disk_prob, prob=1)(dict(img=img))['img']
        assert blurred.sum() == pytest.approx(200, rel=1e-3) and blurred.max() < 100


class TestClutter:
    def test_targets_stay_as_they_are(self, seeded):
        transform = RandomClutter(('hot_pixel', 'line', 'structure'), prob=1, max_structures=3)
        changed = 0
        for seed in range(30):
            given_sample = sample(seed=seed)
            results = transform(dict(given_sample))
            difference = np.abs(results['img'].astype(int) - given_sample['img'])
            assert difference[16:28, 26:39].max() <= 3
            changed += difference.max() > 10
        assert changed >= 28

    def test_hot_pixels_have_no_halo(self, seeded):
        flat = np.full((80, 80), 100, np.uint8)
        difference = RandomClutter(('hot_pixel',), prob=1)(dict(img=flat))['img'] != 100
        assert 1 <= difference.sum() <= 12

    def test_boxes_are_targets_too(self, seeded):
        flat = np.full((60, 60), 100, np.uint8)
        boxes = np.array([[0, 0, 60, 40]], np.float32)
        for _ in range(20):
            results = RandomClutter(('hot_pixel',), prob=1, gap=3)(dict(img=flat, gt_bboxes=boxes))
            assert (results['img'][:42] == 100).all() and results['gt_bboxes'] is boxes

    @pytest.mark.parametrize(
        'options', [dict(kinds=('x',)), dict(max_structures=0), dict(contrast=(3, 1))]
    )
    def test_options(self, options):
        with pytest.raises(ValueError, match=next(iter(options))):
            RandomClutter(**options)


@pytest.mark.parametrize(
    'cls, options',
    [
        (RandomIRIntensity, dict(gain=(2, 1))),
        (RandomIRIntensity, dict(clip=0.6)),
        (RandomDefocus, dict(sigma=(0, 1))),
        (RandomDefocus, dict(disk_prob=2)),
        (RandomSensorNoise, dict(read=(-1, 1))),
        (RandomSensorNoise, dict(target_snr=-1)),
        (RandomFixedPattern, dict(bands=(2, 1))),
        (RandomFixedPattern, dict(row_prob=-1)),
        (RandomVignetting, dict(strength=(1,))),
        (RandomBitDepth, dict(step=(0.5, 2))),
        (RandomJPEG, dict(quality=(50, 101))),
    ],
)
def test_options_out_of_range(cls, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        cls(**options)


CHAIN = [dict(type=cls.__name__, prob=1) for cls in CLASSES]


def test_in_a_stock_mmseg_pipeline(seeded):
    pytest.importorskip('mmseg')
    with DefaultScope.overwrite_default_scope('mmseg'):
        flip = dict(type='RandomFlip', prob=0.5)
        pipeline = Compose(
            [dict(type='RandomTargetScale'), flip, *CHAIN, dict(type='PackSegInputs')]
        )
        packed = pipeline(sample((48, 64, 3)))
    assert packed['inputs'].shape[0] == 3
    assert packed['data_samples'].gt_sem_seg.shape == tuple(packed['inputs'].shape[1:])


def test_in_a_stock_mmdet_pipeline(seeded):
    pytest.importorskip('mmdet')
    from mmdet.structures.bbox import HorizontalBoxes

    results = dict(
        img=sample((48, 64, 3))['img'],
        img_shape=(48, 64),
        ori_shape=(48, 64),
        gt_bboxes=HorizontalBoxes(np.array([[30, 20, 35, 24]], np.float32)),
        gt_bboxes_labels=np.array([0]),
        gt_ignore_flags=np.array([False]),
    )
    with DefaultScope.overwrite_default_scope('mmdet'):
        pipeline = Compose(
            [
                dict(type='RandomTargetScale', scale=(2, 2)),
                *CHAIN,
                dict(type='PackDetInputs', meta_keys=('scale_factor', 'img_shape')),
            ]
        )
        packed = pipeline(results)
    assert packed['inputs'].shape == (3, 96, 128)
    sample_ = packed['data_samples']
    assert sample_.gt_instances.bboxes.tensor.tolist() == [[60, 40, 70, 48]]
    assert sample_.scale_factor == (2, 2) and sample_.img_shape == (96, 128)
