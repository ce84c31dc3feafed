# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# OBSDM on the Bosch Small Traffic Lights Dataset at 1280 px.
# At 640 px over a quarter of the boxes fit no anchor of the published set.

_base_ = [
    '../_base_/models/obsdm_r18.py',
    '../_base_/datasets/bstld.py',
    '../_base_/schedules/obsdm_300e.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
data_root = 'data/bstld/'
batch_size = 4  # images per GPU; x 8 GPUs x accumulative_counts = 64
num_workers = 4  # loader processes per GPU
max_epochs = 300
pretrained = None  # self-supervised checkpoint of the backbone; None: random weights

# -------- changed sometimes --------
val_interval = 10  # epochs
accumulative_counts = 2  # batches to a step
base_sizes = [  # (w, h) in px, fitted by tools/analysis_tools/fit_anchors.py
    [(4, 8), (5, 7), (5, 11)],
    [(6, 14), (8, 17), (10, 23)],
    [(14, 31), (19, 42), (28, 61)],
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
    bbox_head=dict(
        num_classes=4,
        img_size=1280,  # px
        prior_generator=dict(base_sizes=base_sizes),
    ),
)
