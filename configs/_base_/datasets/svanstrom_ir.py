# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Thermal video frames with drones, birds, airplanes and helicopters (Svanstrom et al., Data in
# Brief, 2021; CC0), 320x256 px, split by video. Given to the network at twice their size: most
# objects are below 16x16 px, and the images are small.

dataset_type = 'CocoBoxDataset'
data_root = 'data/svanstrom_ir/'
metainfo = dict(classes=('airplane', 'bird', 'drone', 'helicopter'))
zoom = 2.0  # of the images
crop_size = (320, 320)  # px, of the training images

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='MultiImageMixDataset',
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            metainfo=metainfo,
            ann_file='train.json',
            img_dir='train',
            pipeline=[
                dict(type='LoadImageStrict'),
                dict(type='LoadAnnotations', with_bbox=True),
                dict(
                    type='RandomResize',
                    scale=(640, 512),  # px, twice the images' own size
                    ratio_range=(0.75, 1.5),
                    keep_ratio=True,
                ),
                dict(
                    type='ObjectCenteredCrop',
                    crop_size=crop_size,
                    prob=0.7,
                    min_area_ratio=0.4,
                ),
            ],
        ),
        pipeline=[
            # In 30 % of the samples the corners of four crops, at their own size
            dict(
                type='SmallObjectMosaic',
                img_scale=crop_size,
                prob=0.3,
                nine_prob=0.0,
                pad_val=114,
            ),
            # the middle of the canvas: the crop itself where there is no mosaic
            dict(
                type='MosaicAffine',
                img_scale=crop_size,
                scale=0.0,
                translate=0.0,
                min_area_ratio=0.3,
                pad_val=114,
            ),
            # thermal images: gain, gamma and sensor noise
            dict(type='MultiplicativeHSV', hue=0.0, saturation=0.0, value=0.3),
            dict(type='RandomGammaNoise', gamma=(0.7, 1.4), noise=4.0, prob=0.5),
            dict(type='RandomFlip', prob=[0.5, 0.2], direction=['horizontal', 'vertical']),
            dict(type='SmallBoxFilter', min_size=2.0, max_aspect=20.0),  # px, ratio of the sides
            dict(type='PackDetInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='val.json',
        img_dir='val',
        test_mode=True,
        pipeline=[
            dict(type='LoadImageStrict'),
            dict(type='Resize', scale_factor=zoom),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                type='PackDetInputs',
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
            ),
        ],
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='SmallObjectMetric')
test_evaluator = val_evaluator
