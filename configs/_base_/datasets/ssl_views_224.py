# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Two views of each image, as published: 224 px.

view = [
    dict(type='RecordedCrop', size=224, scale=(0.2, 1.0)),  # px, share of the area
    dict(type='RecordedFlip', prob=0.5),
    # ranges; prob that anything is changed
    dict(
        type='RecordedColorJitter',
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        prob=0.8,
    ),
    dict(type='RecordedGrayscale', prob=0.2),
    dict(type='RecordedBlur', sigma=(0.1, 2.0), prob=0.5),  # px
]
# 3x3 crops of 64 px; used by the configs called local-views
local_view = [
    dict(type='RecordedCrop', size=225, scale=(0.2, 1.0)),
    *view[1:],
    dict(type='LocalCrops', grid=3, size=64),
]

train_pipeline = [
    # images of more than 8 bits, each from its own range; 'error': they stop the run
    dict(type='LoadImageStrict', high_bit_depth='scale'),
    dict(type='AugmentedViews', views=[view, view]),
    dict(type='PackViews', targets=['crop', 'color']),
]

train_dataloader = dict(
    batch_size=128,  # images a process
    num_workers=8,
    persistent_workers=True,
    drop_last=True,  # the batch norm of the projectors needs whole batches
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ImageTreeDataset',
        data_root='data/images',
        pipeline=train_pipeline,
    ),
)
