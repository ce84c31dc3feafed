# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Synthetic infrared images: made below data_root at first use, 200 to train, 50 to test.

_base_ = './nudt_sirst.py'  # pipelines and loaders

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

train_dataloader = dict(
    num_workers=2,
    collate_fn=dict(sizes=train_sizes),
    dataset=dict(type=dataset_type, data_root=data_root, **synthetic),
)
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, **synthetic))
test_dataloader = val_dataloader
