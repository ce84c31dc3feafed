# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Your own boxes in COCO JSON, Pascal VOC or YOLO folders: trained on crops in which objects keep
# their pixels, evaluated on whole images at their own size. The classes are those of the files.

dataset_type = 'CustomBoxDataset'
data_root = 'data/mine/'
crop_size = (320, 320)  # px, (height, width) of the training images

train_dataloader = dict(
    batch_size=8,  # per GPU
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='MultiImageMixDataset',
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            ann_file='',  # below data_root: a COCO file, a list of VOC, ...; '': what is there
            split='train',
            pipeline=[
                dict(type='LoadImageStrict', high_bit_depth='scale'),
                dict(type='LoadAnnotations', with_bbox=True),
                dict(type='ObjectCenteredCrop', crop_size=crop_size, prob=0.5, min_area_ratio=0.4),
            ],
        ),
        pipeline=[
            # pieces of 4 crops: the canvas of the mosaic is 640 px, 320 px of it are taken
            dict(type='SmallObjectMosaic', img_scale=crop_size, nine_prob=0.0, pad_val=114),
            # scale 0.5: factor 0.5 to 1.5; translate: share of the side
            dict(type='MosaicAffine', img_scale=crop_size, scale=0.5, translate=0.2, pad_val=114),
            dict(type='MultiplicativeHSV', hue=0.015, saturation=0.7, value=0.4),
            dict(type='RandomFlip', prob=0.5),
            dict(type='SmallBoxFilter', min_size=2.0, max_aspect=20.0),  # px, ratio of the sides
            dict(type='PackDetInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='',
        split='val',
        test_mode=True,
        pipeline=[
            dict(type='LoadImageStrict', high_bit_depth='scale'),
            dict(type='Resize', scale_factor=1.0),  # more for objects of a few pixels
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
