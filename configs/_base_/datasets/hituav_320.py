# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# HIT-UAV for two CPU cores: trained on 320 px crops of the images at their own size, evaluated on
# whole images at their own size, 640x512 px.

_base_ = './hituav.py'

crop_size = (320, 320)  # px, (height, width) of the training images

train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        _delete_=True,
        type='MultiImageMixDataset',
        dataset=dict(
            type='HITUAVDataset',
            data_root='data/HIT-UAV/',
            ann_file='ImageSets/Main/train.txt',
            pipeline=[
                dict(type='LoadImageStrict'),
                dict(type='LoadAnnotations', with_bbox=True),
                dict(type='RandomCrop', crop_size=crop_size, allow_negative_crop=True),
            ],
        ),
        pipeline=[
            # pieces of 4 crops: the canvas of the mosaic is 640 px, 320 px of it are taken
            dict(type='SmallObjectMosaic', img_scale=crop_size, nine_prob=0.0, pad_val=114),
            # scale 0.5: factor 0.5 to 1.5; translate: share of the side
            dict(type='MosaicAffine', img_scale=crop_size, scale=0.5, translate=0.2, pad_val=114),
            # thermal images: brightness only
            dict(type='MultiplicativeHSV', hue=0.0, saturation=0.0, value=0.4),
            dict(type='RandomFlip', prob=0.5),
            dict(type='SmallBoxFilter', min_size=2.0, max_aspect=20.0),  # px, ratio of the sides
            dict(type='PackDetInputs'),
        ],
    ),
)
val_dataloader = dict(batch_size=4, num_workers=1)
test_dataloader = val_dataloader
