# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# HIT-UAV for detectors of small objects: trained on crops in which objects keep their pixels,
# evaluated on whole images at their own size, 640x512 px.

dataset_type = 'HITUAVDataset'
data_root = 'data/HIT-UAV/'
crop_size = (320, 320)  # px, of the training images

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='MultiImageMixDataset',
        dataset=dict(
            type='ClassBalancedDataset',
            # images of classes that are in less than this share of the images come more often:
            # those with other vehicles (4 %) three times, with bicycles (16 %) twice an epoch
            oversample_thr=0.25,
            dataset=dict(
                type=dataset_type,
                data_root=data_root,
                ann_file='ImageSets/Main/train.txt',
                pipeline=[
                    dict(type='LoadImageStrict'),
                    dict(type='LoadAnnotations', with_bbox=True),
                    dict(
                        type='RandomResize',
                        scale=(640, 512),  # px, the images' own size
                        ratio_range=(0.75, 1.5),
                        keep_ratio=True,
                    ),
                    dict(
                        type='ObjectCenteredCrop',
                        crop_size=crop_size,
                        prob=0.5,
                        class_weights=[1.0, 1.0, 1.5, 10.0],  # by the classes' order
                        min_area_ratio=0.4,
                    ),
                ],
            ),
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
        ann_file='ImageSets/Main/val.txt',
        test_mode=True,
        pipeline=[
            dict(type='LoadImageStrict'),
            dict(type='Resize', scale_factor=1.0),
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
