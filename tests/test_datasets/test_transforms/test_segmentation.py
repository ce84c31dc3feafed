# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Transforms of images with masks of small targets."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from smallobj_mm.datasets.transforms import (
    LabelDecoupling,
    LoadBinaryMask,
    LoadImageStrict,
    PackIRSTDInputs,
    RandomEdgeCrop,
    RandomGammaNoise,
    RandomRot90,
    TargetAwareCrop,
)
from smallobj_mm.registry import TRANSFORMS

FIELDS = ['gt_seg_map', 'gt_interior_map']


def sample(height=40, width=50):
    """The second and third channel tell the row and the column; a map repeats the first."""
    rows, columns = np.mgrid[:height, :width]
    img = np.stack([(rows * width + columns) % 251, rows, columns], axis=2)
    truth = np.zeros((height, width), np.uint8)
    truth[10:12, 20:23] = truth[30:33, 5:7] = 1
    return dict(
        img=img.astype(np.uint8),
        gt_seg_map=truth,
        gt_interior_map=img[..., 0].astype(np.float32) / 255,
        seg_fields=list(FIELDS),
        img_shape=(height, width),
        ori_shape=(height, width),
    )


def assert_aligned(results):
    """Image and maps were changed alike."""
    assert results['img_shape'] == results['img'].shape[:2]
    assert all(results[name].shape == results['img_shape'] for name in FIELDS)
    assert np.array_equal(np.rint(results['gt_interior_map'] * 255), results['img'][..., 0])
    assert results['ori_shape'] == (40, 50)


@pytest.mark.parametrize(
    'transform',
    [RandomEdgeCrop(), RandomRot90(), TargetAwareCrop(24), TargetAwareCrop((64, 30), prob=0)],
)
def test_image_and_maps_stay_aligned(transform):
    for _ in range(20):
        results = transform(sample())
        assert_aligned(results)
        assert all(results[name].flags.c_contiguous for name in ('img', *FIELDS))


@pytest.mark.parametrize('direction', ['horizontal', 'vertical'])
def test_stock_flip_does_for_our_maps(direction):
    with DefaultScope.overwrite_default_scope('mmseg'):
        flip = TRANSFORMS.build(dict(type='RandomFlip', prob=1.0, direction=direction))
    results = flip(sample())
    assert_aligned(results)
    assert results['flip'] and results['gt_interior_map'].dtype == np.float32


def test_edge_crop_takes_up_to_an_eighth_off_each_side():
    strips = []
    for _ in range(200):
        results = RandomEdgeCrop()(sample())
        (height, width), (top, left) = results['img_shape'], results['img'][0, 0, 1:].tolist()
        assert results['img'][-1, -1, 1:].tolist() == [top + height - 1, left + width - 1]
        strips.append((top, 40 - top - height, left, 50 - left - width))
    strips = np.array(strips)
    assert strips.min() == 0 and strips.max(axis=0).tolist() == [5, 5, 6, 6]
    assert RandomEdgeCrop(prob=0)(sample())['img_shape'] == (40, 50)


def test_target_aware_crop():
    crop = TargetAwareCrop(16, prob=1, jitter=0.2)
    for _ in range(30):
        results = crop(sample())
        assert results['img_shape'] == (16, 16) and (results['gt_seg_map'] == 1).any()
    hits = sum(TargetAwareCrop(10, prob=0)(sample())['gt_seg_map'].any() for _ in range(100))
    assert 0 < hits < 80
    empty = sample()
    empty['gt_seg_map'][:] = 0
    assert crop(empty)['img_shape'] == (16, 16)


def test_target_aware_crop_chooses_each_target():
    crop, seen = TargetAwareCrop(12, prob=1, jitter=0), set()
    for _ in range(30):
        seen.add(int(crop(sample())['gt_seg_map'].sum()))
    assert seen == {6}  # both targets have six pixels, and no crop holds both or half of one
    assert TargetAwareCrop((64, 30))(sample())['img_shape'] == (64, 30)
    assert TargetAwareCrop(200)(sample())['gt_seg_map'].sum() > 12  # mirrored


def test_rot90():
    shapes = {RandomRot90(prob=1)(sample())['img_shape'] for _ in range(30)}
    assert shapes == {(40, 50), (50, 40)}
    results = RandomRot90(prob=0)(sample())
    assert np.array_equal(results['img'], sample()['img'])


def test_gamma_and_noise():
    img = np.full((64, 64, 3), 100, np.uint8)
    changed = RandomGammaNoise(prob=1, gamma=(0.7, 0.7), noise=0)(dict(img=img))['img']
    assert np.unique(changed).tolist() == [round(255 * (100 / 255) ** 0.7)]
    noisy = RandomGammaNoise(prob=1, gamma=(1, 1), noise=5)(dict(img=img))['img']
    assert 0 < noisy.std() < 6 and np.array_equal(noisy[..., 0], noisy[..., 2])
    gray = RandomGammaNoise(prob=1)(dict(img=img[..., 0]))['img']
    assert gray.shape == (64, 64) and gray.dtype == np.uint8
    assert RandomGammaNoise(prob=0)(dict(img=img))['img'] is img
    with pytest.raises(ValueError, match='float64, expected uint8'):
        RandomGammaNoise()(dict(img=img / 255))


@pytest.mark.parametrize(
    'build, message',
    [
        (lambda: RandomEdgeCrop(0.5), 'max_fraction is 0.5'),
        (lambda: RandomRot90(2), 'prob is 2'),
        (lambda: TargetAwareCrop(0), 'size is 0'),
        (lambda: TargetAwareCrop(8, jitter=1), 'jitter 1'),
        (lambda: RandomGammaNoise(gamma=(2, 1)), r'gamma is \(2, 1\)'),
    ],
)
def test_options_out_of_range(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.fixture
def pair(tmp_path):
    """Paths of an image and its mask."""
    paths = dict(img_path=str(tmp_path / 'a.png'), seg_map_path=str(tmp_path / 'a_pixels0.png'))
    cv2.imwrite(paths['img_path'], np.full((30, 40, 4), 90, np.uint8))
    mask = np.zeros((30, 40), np.uint8)
    mask[3:6, 3:7] = 255
    cv2.imwrite(paths['seg_map_path'], mask)
    return paths


def test_load_decouple_and_pack(pair):
    results = dict(pair, seg_fields=[], reduce_zero_label=False)
    for transform in (LoadImageStrict(), LoadBinaryMask(), LabelDecoupling('exact')):
        results = transform(results)
    assert results['img'].shape == (30, 40, 3)
    packed = PackIRSTDInputs()(results)
    assert packed['inputs'].shape == (3, 30, 40) and packed['inputs'].dtype == torch.uint8
    data = packed['data_samples']
    assert data.gt_sem_seg.data.dtype == torch.int64
    assert data.gt_interior_map.data.shape == data.gt_boundary_map.data.shape == (1, 30, 40)
    total = data.gt_interior_map.data + data.gt_boundary_map.data
    assert torch.equal(total, data.gt_sem_seg.data.float())
    assert data.metainfo['ori_shape'] == (30, 40) and data.img_path == pair['img_path']
    assert data.seg_map_path == pair['seg_map_path']


def test_mask_is_compared_with_the_original_size(pair):
    with DefaultScope.overwrite_default_scope('mmseg'):
        resize = TRANSFORMS.build(dict(type='Resize', scale=(64, 64)))
    results = LoadBinaryMask()(resize(LoadImageStrict()(dict(pair, seg_fields=[]))))
    assert results['img'].shape[:2] == (64, 64) and results['gt_seg_map'].shape == (30, 40)
    assert 'gt_interior_map' not in PackIRSTDInputs()(results)['data_samples']


def test_image_and_mask_of_different_sizes(pair):
    cv2.imwrite(pair['seg_map_path'], np.zeros((592, 400), np.uint8))
    results = LoadImageStrict()(dict(pair, seg_fields=[]))
    with pytest.raises(ValueError, match='the mask is 400x592.*40x30') as caught:
        LoadBinaryMask()(results)
    text = str(caught.value)
    assert pair['img_path'] in text and pair['seg_map_path'] in text and '\n' not in text
