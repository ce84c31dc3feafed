# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# A narrow OBSDM learns synthetic small objects on two CPU cores within minutes.
# The data is made below data/synthetic_det at first use.

_base_ = [
    '../_base_/models/obsdm_r18.py',
    '../_base_/datasets/synthetic_det.py',
    '../_base_/schedules/adamw_short.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
max_epochs = 9
batch_size = 4  # images

# -------- changed sometimes --------
lr = 2e-3
norm_cfg = dict(momentum=0.1)  # 0.03 follows weights that change fast too slowly
obj_gain = 7.0  # ten times the recipe's: the objectness must rise within some hundred steps
widen_factor = 0.25  # of the neck and the head; 1.0 is the full model
channels = [32, 64, 128]  # of the neck's levels: 128, 256, 512 times widen_factor
base_sizes = [  # (w, h) in px, fitted by tools/analysis_tools/fit_anchors.py
    [(7, 7), (8, 8), (10, 10)],
    [(13, 13), (16, 16), (19, 19)],
    [(24, 24), (29, 29), (36, 36)],
]

# -------- never changed: where the values above go --------
train_dataloader = dict(batch_size=batch_size)
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=lr))
model = dict(
    backbone=dict(norm_cfg=norm_cfg),
    neck=dict(widen_factor=widen_factor, norm_cfg=norm_cfg),
    bbox_head=dict(
        num_classes=3,
        obj_gain=obj_gain,
        head_module=dict(in_channels=channels, norm_cfg=norm_cfg),
        prior_generator=dict(base_sizes=base_sizes),
    ),
)
