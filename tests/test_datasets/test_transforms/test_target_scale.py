# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Random scales: image and mask stay on top of each other, seeds repeat."""

import cv2
import numpy as np
import pytest

from smallobj_mm.datasets.transforms import RandomTargetScale, ScaledTargetCrop


def sample(height=60, width=80):
    """Targets are as bright as the image gets."""
    rng = np.random.default_rng(0)
    truth = np.zeros((height, width), np.uint8)
    for row, column in ((10, 12), (40, 60), (30, 30)):
        truth[row : row + 3, column : column + 4] = 1
    img = np.where(truth, 220, 60 + rng.integers(0, 10, truth.shape)).astype(np.uint8)
    return dict(img=img, gt_seg_map=truth, seg_fields=['gt_seg_map'], img_shape=(height, width))


@pytest.mark.parametrize(
    'transform', [RandomTargetScale(), ScaledTargetCrop(48), ScaledTargetCrop((30, 100), prob=1)]
)
def test_mask_and_image_stay_on_top_of_each_other(transform, seeded):
    factors = []
    for _ in range(40):
        results = transform(sample())
        img, truth = results['img'].astype(float), results['gt_seg_map']
        assert results['img_shape'] == img.shape == truth.shape
        if (truth == 1).any():
            assert img[truth == 1].mean() > 120
            far = cv2.dilate(truth, np.ones((7, 7), np.uint8)) == 0
            assert not far.any() or img[far].max() < 130
        factors.append(results.get('scale_factor', (1, 1))[0])
    assert min(factors) < 0.7 and max(factors) > 1.4
    if isinstance(transform, ScaledTargetCrop):
        assert results['img_shape'] == transform.size
        assert (np.array(factors) == 1).any()


def test_seeds_repeat(seeded):
    outcomes = []
    for seed in (3, 3, 4):
        seeded(seed)
        outcomes.append(ScaledTargetCrop(40)(sample())['img'])
    assert np.array_equal(outcomes[0], outcomes[1])
    assert not np.array_equal(outcomes[0], outcomes[2])


@pytest.mark.parametrize('channels', [1, 3])
def test_channels_are_kept(channels, seeded):
    given_sample = sample()
    given_sample['img'] = np.repeat(given_sample['img'][..., None], channels, axis=2)
    assert ScaledTargetCrop(40)(dict(given_sample))['img'].shape == (40, 40, channels)
    assert RandomTargetScale((2, 2))(dict(given_sample))['img'].shape == (120, 160, channels)


def test_stale_maps_and_options():
    stale = dict(sample(), gt_interior_map=np.zeros((60, 80), np.float32))
    for transform in (RandomTargetScale((2, 2)), ScaledTargetCrop(40)):
        with pytest.raises(ValueError, match='before LabelDecoupling'):
            transform(dict(stale))
    assert RandomTargetScale(prob=0)(dict(stale))['img'] is stale['img']
    for options in (dict(scale=(0, 1)), dict(prob=2)):
        with pytest.raises(ValueError, match=next(iter(options))):
            RandomTargetScale(**options)
    with pytest.raises(ValueError, match='scale_prob is 2'):
        ScaledTargetCrop(40, scale_prob=2)
    assert 'scale=(0.5, 2.0)' in repr(RandomTargetScale())
    assert 'size=(40, 40), scale=(0.5, 2.0)' in repr(ScaledTargetCrop(40))
