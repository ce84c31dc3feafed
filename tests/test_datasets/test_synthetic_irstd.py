# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The synthetic infrared set."""

import cv2
import numpy as np
import pytest

from smallobj_mm.datasets import IRSTDDataset, SyntheticIRSTDDataset, make_synthetic_irstd
from smallobj_mm.datasets.irstd_scene import BACKGROUNDS, render_ir_scene

SMALL = dict(num_images=5, image_size=96, seed=3)


def test_scenes():
    areas, counts, kinds, contrast = [], [], set(), []
    for index in range(60):
        scene = render_ir_scene(np.random.default_rng([0, index]), 96, (2.0, 10.0), 4)
        assert scene.image.shape == scene.mask.shape == (96, 96)
        assert scene.image.dtype == scene.mask.dtype == np.uint8
        assert set(np.unique(scene.mask)) <= {0, 255}
        count, labels, stats, _ = cv2.connectedComponentsWithStats(scene.mask, connectivity=8)
        areas.extend(stats[1:, cv2.CC_STAT_AREA])
        counts.append(count - 1)
        kinds.add(scene.background)
        assert (stats[1:, 2:4] <= 11).all()
        near = cv2.dilate(scene.mask, np.ones((9, 9))) > 0
        if count > 1:
            inside, outside = scene.image[scene.mask > 0], scene.image[near & (scene.mask == 0)]
            contrast.append(inside.mean() - outside.mean())
    assert kinds == set(BACKGROUNDS)
    assert 0 in counts and max(counts) == 4
    assert min(areas) <= 4 and 40 < max(areas) <= 90
    assert min(contrast) > 5 and np.median(contrast) > 15


def test_files_and_data_set(tmp_path):
    root = str(tmp_path / 'new' / 'set')
    pipeline = [dict(type='LoadImageStrict'), dict(type='LoadBinaryMask')]
    train = SyntheticIRSTDDataset(root, pipeline=pipeline, **SMALL)
    test = SyntheticIRSTDDataset(root, 'test', pipeline=pipeline, **SMALL)
    assert (len(train), len(test)) == (4, 1)
    assert train[0]['img'].shape == (96, 96, 3) and train[0]['gt_seg_map'].max() <= 1
    assert len(IRSTDDataset(root, 'train')) == 4  # an ordinary set in the layout of BasicIRSTD
    assert not make_synthetic_irstd(root, **SMALL)
    before = (tmp_path / 'new' / 'set' / 'images' / '000000.png').read_bytes()
    assert make_synthetic_irstd(root, **dict(SMALL, num_images=6))
    assert (tmp_path / 'new' / 'set' / 'images' / '000000.png').read_bytes() == before
    assert sorted(p.name for p in (tmp_path / 'new').iterdir()) == ['.set.lock', 'set']


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(num_images=1), 'num_images is 1'),
        (dict(test_fraction=1.0), 'test_fraction 1.0'),
        (dict(target_size=(0.5, 4)), r'target_size is \(0.5, 4\)'),
        (dict(target_size=(2, 20)), 'an eighth of image_size=96'),
        (dict(seed=-1), 'seed -1'),
    ],
)
def test_parameters_out_of_range(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        make_synthetic_irstd(str(tmp_path / 'set'), **{**SMALL, **change})
    assert list(tmp_path.iterdir()) == []


def test_foreign_files_are_left_alone(tmp_path):
    (tmp_path / 'mine.txt').write_text('x')
    with pytest.raises(ValueError, match='no synthetic_irstd.json'):
        SyntheticIRSTDDataset(str(tmp_path), **SMALL)
    with pytest.raises(ValueError, match='data_root is empty'):
        SyntheticIRSTDDataset('')
