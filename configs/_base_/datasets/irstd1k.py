# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# IRSTD-1k: 800 infrared images to train and 201 to test, 512x512 px, tested at native size.

dataset_type = 'IRSTDDataset'
data_root = 'data/IRSTD-1k'
train_sizes = [224, 256, 288, 320, 352]  # px, side of the square; one drawn for each batch

train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='LoadBinaryMask'),
    dict(type='RandomEdgeCrop', max_fraction=0.125),  # share of the side, off each of the four
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
]
# After the whole batch was resized to one square:
batch_pipeline = [
    dict(type='LabelDecoupling', mode='authors'),
    dict(type='PackIRSTDInputs'),
]
test_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='LoadBinaryMask'),
    dict(type='PackIRSTDInputs'),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(
        type='sync_resize_collate',
        sizes=train_sizes,
        keep_ratio=False,
        transforms=batch_pipeline,
    ),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='train',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
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
