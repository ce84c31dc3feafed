# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# NUAA-SIRST for short runs: crops of the native resolution, most of them around a target, with the
# exact labels. Evaluated at native size.

dataset_type = 'IRSTDDataset'
data_root = 'data/NUAA-SIRST'
crop_size = 192  # px

train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='LoadBinaryMask'),
    dict(type='RandomResize', scale=(320, 320), ratio_range=(0.7, 1.4), keep_ratio=True),
    dict(type='TargetAwareCrop', size=crop_size, prob=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomRot90', prob=0.75),
    dict(type='RandomGammaNoise', prob=0.5),
    dict(type='LabelDecoupling', mode='exact'),
    dict(type='PackIRSTDInputs'),
]
test_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='LoadBinaryMask'),
    dict(type='PackIRSTDInputs'),
]

train_dataloader = dict(
    batch_size=8,  # crops
    num_workers=2,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,  # images
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='test',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='IRSTDMetric')
test_evaluator = val_evaluator
