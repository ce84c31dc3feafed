# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# NUDT-SIRST for long runs: crops at varied scale, targets of NUDT pasted in. Trained on 603 of the
# 663 training images and tested on the other 60, for where the published test images are missing.

dataset_type = 'IRSTDDataset'
data_root = 'data/NUDT-SIRST'
train_split = '{{ fileDirname }}/splits/nudt_sirst_train.txt'  # or 'train' for all
crop_size = 256  # px
# Data sets whose targets are pasted.
target_sources = [dict(type=dataset_type, data_root=data_root, split=train_split)]

train_pipeline = [
    dict(type='LoadImageStrict', color_type='grayscale', high_bit_depth='scale'),
    dict(type='LoadBinaryMask'),
    dict(type='ScaledTargetCrop', size=crop_size, scale=(0.8, 1.4), scale_prob=0.7, prob=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomRot90', prob=0.75),
    dict(type='TargetCopyPaste', sources=target_sources, num_targets=(1, 2), prob=0.5),
    dict(type='RandomSensorNoise', read=(0, 3), prob=0.25),
    dict(type='RandomIRIntensity', gain=(0.6, 1.5), gamma=(0.8, 1.25), prob=0.5),
    dict(type='RepeatGrey'),
    dict(type='LabelDecoupling', mode='exact'),
    dict(type='PackIRSTDInputs'),
]
test_pipeline = [
    dict(type='LoadImageStrict', color_type='grayscale', high_bit_depth='scale'),
    dict(type='LoadBinaryMask'),
    dict(type='RepeatGrey'),
    dict(type='PackIRSTDInputs'),
]

train_dataloader = dict(
    batch_size=8,  # crops
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='WeightedMixtureDataset',
        datasets=[
            dict(type=dataset_type, data_root=data_root, split=train_split),
        ],
        length=1200,  # crops of an epoch
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,  # images
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='{{ fileDirname }}/splits/nudt_sirst_holdout.txt',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='IRSTDMetric')
test_evaluator = val_evaluator
