# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Synthetic small objects: made below data_root at first use, 200 images to train, 50 to evaluate.

dataset_type = 'SyntheticSmallObjectDataset'
data_root = 'data/synthetic_det/'
img_scale = (256, 256)  # px, (width, height) that the network is given
# Both splits are made with these: other values make the folder anew.
synthetic = dict(
    num_images=250,  # both splits together
    val_fraction=0.2,
    image_size=256,  # px
    seed=0,
    style='shapes',  # disk, square, triangle; or 'infrared': target
)

# The inner data set reads images as they are; mosaics are built from it, then mixed up.
raw_dataset = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='ImageSets/Main/train.txt',
    **synthetic,
    pipeline=[
        dict(type='LoadImageStrict'),
        dict(type='LoadAnnotations', with_bbox=True),
    ],
)
mosaic_dataset = dict(
    type='MultiImageMixDataset',
    dataset=raw_dataset,
    pipeline=[
        # mosaic of 4 images, of 9 with the probability nine_prob
        dict(type='SmallObjectMosaic', img_scale=img_scale, nine_prob=0.2, pad_val=114),
        # scale 0.5: factor 0.5 to 1.5; translate: share of the side
        dict(type='MosaicAffine', img_scale=img_scale, scale=0.5, translate=0.2, pad_val=114),
    ],
)
train_dataset = dict(
    type='MultiImageMixDataset',
    dataset=mosaic_dataset,
    pipeline=[
        dict(type='BetaMixUp', prob=0.15, alpha=8.0, beta=8.0),
        dict(type='MultiplicativeHSV', hue=0.015, saturation=0.7, value=0.4),
        dict(type='RandomFlip', prob=0.5),
        dict(type='SmallBoxFilter', min_size=2.0, max_aspect=20.0),  # px, ratio of the sides
        dict(type='PackDetInputs'),
    ],
)
test_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='Resize', scale=img_scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
val_dataset = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='ImageSets/Main/val.txt',
    **synthetic,
    test_mode=True,
    pipeline=test_pipeline,
)

train_dataloader = dict(
    batch_size=8,  # per GPU
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=train_dataset,
)
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=val_dataset,
)
test_dataloader = val_dataloader

val_evaluator = dict(type='SmallObjectMetric')
test_evaluator = val_evaluator
