# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Two views of each thermal image of HIT-UAV, 128 px: the training flights, labels not used.

view = [
    # share of the area: windows of 115 to 310 px of 640x512, in which small objects stay objects
    dict(type='RecordedCrop', size=128, scale=(0.04, 0.3)),
    dict(type='RecordedFlip', prob=0.5),
    # ranges; prob that anything is changed
    dict(
        type='RecordedColorJitter',
        brightness=0.5,
        contrast=0.5,
        saturation=0.0,
        hue=0.0,
        prob=0.8,
    ),
    dict(type='RecordedBlur', sigma=(0.1, 1.5), prob=0.5),  # px
]
# 3x3 crops of 40 px; used by the config called local-views
local_view = [
    dict(type='RecordedCrop', size=129, scale=(0.04, 0.3)),
    *view[1:],
    dict(type='LocalCrops', grid=3, size=40),
]

train_pipeline = [
    dict(type='LoadImageStrict', high_bit_depth='scale'),
    dict(type='AugmentedViews', views=[view, view]),
    dict(type='PackViews', targets=['crop', 'color']),
]
thermal = dict(
    type='ImageTreeDataset',
    data_root='data/HIT-UAV',
    image_folder='JPEGImages',
    image_list='ImageSets/Main/flight_train.txt',
    pipeline=train_pipeline,
)

train_dataloader = dict(
    batch_size=64,  # images a process
    num_workers=1,
    persistent_workers=True,
    drop_last=True,  # the batch norm of the projectors needs whole batches
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=thermal,
)
