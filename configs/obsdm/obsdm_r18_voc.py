# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# OBSDM on Pascal VOC 07+12 at 640 px: our defaults. The published model: obsdm_r18_voc_authors.py

_base_ = [
    '../_base_/models/obsdm_r18.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/obsdm_300e.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
data_root = 'data/VOCdevkit/'
batch_size = 8  # images per GPU; the recipe has 8 GPUs, 64 images in all
num_workers = 4  # loader processes per GPU
max_epochs = 300
pretrained = None  # self-supervised checkpoint of the backbone; None: random weights

# -------- changed sometimes --------
val_interval = 10  # epochs
accumulative_counts = 1  # batches to a step; batch_size x GPUs x this = 64 keeps the recipe
decoupling = 'spatial'  # 'authors', 'duplicate', 'none'

# -------- never changed: where the values above go --------
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(dataset=dict(dataset=dict(data_root=data_root))),
)
val_dataloader = dict(num_workers=num_workers, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=max_epochs, val_interval=val_interval)
optim_wrapper = dict(accumulative_counts=accumulative_counts)
model = dict(
    backbone=dict(init_cfg=dict(checkpoint=pretrained)),
    neck=dict(decoupling=decoupling),
    bbox_head=dict(num_classes=20),
)
