# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The infrared transforms in a config of stock mmseg: its FCN learns from what they paste."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from smallobj_mm.datasets import make_synthetic_irstd

pytest.importorskip('mmseg')

CONFIG = """
default_scope = 'mmseg'
custom_imports = dict(imports=['smallobj_mm'], allow_failed_imports=False)
targets = dict(type='IRSTDDataset', data_root='{root}/set', split='train')
loading = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadBinaryMask'),
    dict(type='ScaledTargetCrop', size=64, scale=(0.8, 1.25)),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='WeightedMixtureDataset',
        datasets=[
            dict(targets, pipeline=loading),
            dict(type='BackgroundDataset', data_root='{root}/plain', pipeline=loading),
        ],
        weights=[0.3, 0.7],
        pipeline=[
            dict(type='RandomFlip', prob=0.5),
            dict(type='TargetCopyPaste', sources=[targets], prob=0.5, empty_prob=1.0),
            dict(type='SyntheticTargets', prob=0.5, contrast=(60, 120)),
            dict(type='RandomIRIntensity', prob=0.5),
            dict(type='PackSegInputs'),
        ],
    ),
)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[110.0] * 3,
        std=[60.0] * 3,
        size=(64, 64),
        seg_pad_val=255,
    ),
    backbone=dict(
        type='ResNetV1c',
        depth=18,
        base_channels=8,
        num_stages=2,
        strides=(1, 1),
        dilations=(1, 1),
        out_indices=(1,),
        stem_channels=8,
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=16,
        channels=16,
        num_convs=1,
        in_index=0,
        concat_input=False,
        num_classes=2,
        loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 5.0]),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-3))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=40)
default_hooks = dict(checkpoint=None, logger=dict(type='LoggerHook', interval=10))
randomness = dict(seed=0)
work_dir = '{root}/runs'
log_level = 'ERROR'
"""


def test_the_loss_of_a_stock_network_falls(tmp_path):
    make_synthetic_irstd(str(tmp_path / 'set'), num_images=20, image_size=96, seed=1)
    (tmp_path / 'plain').mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        img = cv2.GaussianBlur(rng.normal(100, 30, (80, 90)), (0, 0), 4)
        cv2.imwrite(str(tmp_path / 'plain' / f'{number}.png'), img.astype(np.uint8))
    cfg = Config.fromstring(CONFIG.format(root=tmp_path), '.py')
    runner = Runner.from_cfg(cfg)
    runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(losses) == 40 and np.isfinite(losses).all()
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:5])

    # What it has learned is where the targets are, not only that they are few.
    batch = next(iter(runner.train_dataloader))
    runner.model.eval()
    with torch.no_grad():
        data = runner.model.data_preprocessor(batch, training=True)
        logits = runner.model(data['inputs'])
    probs = torch.nn.functional.interpolate(logits, (64, 64)).softmax(1)[:, 1]
    truth = torch.stack([sample.gt_sem_seg.data[0] for sample in data['data_samples']])
    assert (truth == 1).any()
    assert probs[truth == 1].mean() > 2 * probs[truth == 0].mean()
