# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# NUAA-SIRST for long runs: gray crops, targets of its other images pasted in.

data_root = 'data/NUAA-SIRST'
crop_size = 256  # px
epoch_length = 800  # crops
cache_mib = 0  # MiB of decoded images in each worker; 200 hold all of them

load = dict(
    type='CachedTransforms',
    transforms=[
        dict(type='LoadImageStrict', color_type='grayscale', high_bit_depth='scale'),
        dict(type='LoadBinaryMask'),
    ],
    max_mib=cache_mib,
)
source = dict(
    type='IRSTDDataset',
    data_root=data_root,
    split='train',
    pipeline=[
        load,
        dict(type='ScaledTargetCrop', size=crop_size, scale=(0.75, 1.5), scale_prob=0.6, prob=0.75),
    ],
)
train_pipeline = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomRot90', prob=0.75),
    dict(type='RandomSensorNoise', prob=0.15),
    dict(type='TargetCopyPaste', sources=[source], num_targets=(1, 3), prob=0.5),
    dict(type='RandomIRIntensity', gain=(0.6, 1.5), prob=0.4),
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
    batch_size=4,  # crops
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='WeightedMixtureDataset',
        datasets=[source],
        weights=[1.0],
        length=epoch_length,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,  # images
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='IRSTDDataset',
        data_root=data_root,
        split='test',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='IRSTDMetric')
test_evaluator = val_evaluator
