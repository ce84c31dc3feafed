# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# OBSDM on HIT-UAV within the reach of two CPU cores: 320 px crops, few epochs.
# python tools/train.py configs/obsdm/obsdm_r18_hituav_320.py --amp

_base_ = [
    '../_base_/models/obsdm_r18.py',
    '../_base_/datasets/hituav_320.py',
    '../_base_/schedules/adamw_short.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
max_epochs = 20
batch_size = 4  # images

# -------- changed sometimes --------
lr = 1e-3
norm_cfg = dict(momentum=0.1)  # 0.03 follows weights that change fast too slowly
obj_gain = 7.0  # ten times the recipe's: the objectness must rise within some hundred steps
base_sizes = [  # (w, h) in px, fitted by tools/analysis_tools/fit_anchors.py
    [(8, 16), (11, 19), (17, 17)],
    [(15, 26), (22, 29), (40, 26)],
    [(65, 38), (43, 62), (86, 84)],
]

# -------- never changed: where the values above go --------
train_dataloader = dict(batch_size=batch_size)
train_cfg = dict(max_epochs=max_epochs, val_interval=10)
optim_wrapper = dict(optimizer=dict(lr=lr))
model = dict(
    backbone=dict(norm_cfg=norm_cfg),
    neck=dict(norm_cfg=norm_cfg),
    bbox_head=dict(
        num_classes=4,
        obj_gain=obj_gain,
        head_module=dict(norm_cfg=norm_cfg),
        prior_generator=dict(base_sizes=base_sizes),
    ),
)
