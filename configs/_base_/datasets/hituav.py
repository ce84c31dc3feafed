# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# HIT-UAV: thermal images from a drone, 640x512 px.

dataset_type = 'HITUAVDataset'
data_root = 'data/HIT-UAV/'
img_scale = (640, 640)  # px, (width, height) that the network is given

test_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='Resize', scale=img_scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]

train_dataloader = dict(
    batch_size=8,  # per GPU, 8 GPUs in the recipe
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    # The inner data set reads images as they are; mosaics are built from it, then mixed up.
    dataset=dict(
        type='MultiImageMixDataset',
        dataset=dict(
            type='MultiImageMixDataset',
            dataset=dict(
                type=dataset_type,
                data_root=data_root,
                ann_file='ImageSets/Main/train.txt',
                pipeline=[
                    dict(type='LoadImageStrict'),
                    dict(type='LoadAnnotations', with_bbox=True),
                ],
            ),
            pipeline=[
                # mosaic of 4 images, of 9 with the probability nine_prob
                dict(type='SmallObjectMosaic', img_scale=img_scale, nine_prob=0.2, pad_val=114),
                # scale 0.9: factor 0.1 to 1.9; translate: share of the side
                dict(
                    type='MosaicAffine', img_scale=img_scale, scale=0.9, translate=0.2, pad_val=114
                ),
            ],
        ),
        pipeline=[
            dict(type='BetaMixUp', prob=0.15, alpha=8.0, beta=8.0),
            dict(type='MultiplicativeHSV', hue=0.015, saturation=0.7, value=0.4),
            dict(type='RandomFlip', prob=0.5),
            dict(type='SmallBoxFilter', min_size=2.0, max_aspect=20.0),  # px, ratio of the sides
            dict(type='PackDetInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Main/val.txt',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='SmallObjectMetric')
test_evaluator = val_evaluator
