# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Synthetic infrared images: made below data_root at first use, 200 to train, 50 to test.

dataset_type = 'SyntheticIRSTDDataset'
data_root = 'data/synthetic_irstd'
train_sizes = [96, 128, 160]  # px, side of the square; one drawn for each batch
# Both splits are made with these: other values make the folder anew.
synthetic = dict(
    num_images=250,  # both splits together
    test_fraction=0.2,
    image_size=128,  # px
    target_size=(2.0, 10.0),  # px, the longer side
    max_targets=4,  # in an image
    seed=0,
)

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
    num_workers=2,
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
        **synthetic,
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
        **synthetic,
        split='test',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='IRSTDMetric')
test_evaluator = val_evaluator
