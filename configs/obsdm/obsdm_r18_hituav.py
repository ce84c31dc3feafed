# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# OBSDM on HIT-UAV (thermal images from a drone) at 640 px.

_base_ = [
    '../_base_/models/obsdm_r18.py',
    '../_base_/datasets/hituav.py',
    '../_base_/schedules/obsdm_300e.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
data_root = 'data/HIT-UAV/'
batch_size = 8  # images per GPU; the recipe has 8 GPUs, 64 images in all
num_workers = 4  # loader processes per GPU
max_epochs = 300
pretrained = None  # self-supervised checkpoint of the backbone; None: random weights

# -------- changed sometimes --------
val_interval = 10  # epochs
accumulative_counts = 1  # batches to a step; batch_size x GPUs x this = 64 keeps the recipe
base_sizes = [  # (w, h) in px, fitted by tools/analysis_tools/fit_anchors.py
    [(8, 16), (11, 19), (17, 17)],
    [(15, 26), (22, 29), (40, 26)],
    [(65, 38), (43, 62), (86, 84)],
]

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
    bbox_head=dict(num_classes=4, prior_generator=dict(base_sizes=base_sizes)),
)
