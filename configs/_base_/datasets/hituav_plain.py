# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# HIT-UAV: whole images, no augmentation.

_base_ = './hituav.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='HITUAVDataset',
        data_root='data/HIT-UAV/',
        ann_file='ImageSets/Main/train.txt',
        pipeline=[
            dict(type='LoadImageStrict'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs'),
        ],
    )
)
