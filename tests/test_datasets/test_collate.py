# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""One random size a batch, through mmengine's data loader."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from smallobj_mm.datasets.collate import sync_resize_collate
from smallobj_mm.registry import FUNCTIONS

FINISH = [dict(type='LabelDecoupling', mode='exact'), dict(type='PackIRSTDInputs')]


def sample(height=30, width=45):
    truth = np.zeros((height, width), np.uint8)
    truth[10:16, 10:18] = 1
    img = np.random.default_rng(height).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return dict(
        img=img,
        gt_seg_map=truth,
        seg_fields=['gt_seg_map'],
        img_shape=(height, width),
        ori_shape=(height, width),
    )


def test_square():
    sizes = set()
    for _ in range(12):
        batch = sync_resize_collate([sample(), sample(50, 20)], sizes=(32, 64), transforms=FINISH)
        shapes = {tuple(image.shape) for image in batch['inputs']}
        assert len(shapes) == 1
        sizes |= shapes
        for data in batch['data_samples']:
            total = data.gt_interior_map.data + data.gt_boundary_map.data
            # decoupled after the resize: the target reaches 1, and nothing is blurred
            assert torch.equal(total, data.gt_sem_seg.data.float())
            assert data.gt_interior_map.data.max() == 1
            assert data.img_shape == tuple(data.gt_sem_seg.shape)
        assert batch['data_samples'][0].scale_factor != batch['data_samples'][1].scale_factor
    assert sizes == {(3, 32, 32), (3, 64, 64)}


def test_keep_ratio():
    batch = sync_resize_collate(
        [sample(), sample(50, 20)], sizes=[90], keep_ratio=True, transforms=FINISH
    )
    assert [tuple(i.shape) for i in batch['inputs']] == [(3, 60, 90), (3, 90, 36)]


def test_errors():
    with pytest.raises(ValueError, match=r'sizes is \[\]'):
        sync_resize_collate([sample()], sizes=[])
    with pytest.raises(ValueError, match='move the packing'):
        sync_resize_collate([dict(inputs=1)])


@pytest.fixture
def root(tmp_path):
    for name in 'abcdefgh':
        for sub in ('image', 'mask'):
            (tmp_path / sub).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / sub / f'{name}.png'), np.full((20, 30), 255, np.uint8))
    (tmp_path / 'train.txt').write_text('\n'.join('abcdefgh'))
    return str(tmp_path)


@pytest.mark.parametrize('workers', [0, 2])
def test_loader_of_a_config_is_reproducible(root, workers):
    config = dict(
        batch_size=2,
        num_workers=workers,
        persistent_workers=workers > 0,
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='sync_resize_collate', sizes=[16, 24, 32, 40], transforms=FINISH),
        dataset=dict(
            type='IRSTDDataset',
            data_root=root,
            pipeline=[
                dict(type='LoadImageStrict'),
                dict(type='LoadBinaryMask'),
                dict(type='RandomEdgeCrop'),
                dict(type='RandomFlip', prob=0.5),
            ],
        ),
    )

    def shapes():
        np.random.seed(5)
        with DefaultScope.overwrite_default_scope('mmseg'):
            loader = Runner.build_dataloader(config, seed=5)
            return [
                [tuple(image.shape) for image in batch['inputs']]
                for _ in range(2)
                for batch in loader
            ]

    assert FUNCTIONS.get('sync_resize_collate') is sync_resize_collate
    first = shapes()
    assert first == shapes()
    assert all(len(set(batch)) == 1 for batch in first)
    assert len({batch[0] for batch in first}) > 1
    assert first[:4] != first[4:]  # the second epoch is not the first again
