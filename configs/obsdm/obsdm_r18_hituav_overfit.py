# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Sanity check: 32 training images of HIT-UAV learnt by heart, evaluated on themselves.
# python tools/train.py configs/obsdm/obsdm_r18_hituav_overfit.py --amp (bfloat16 on the CPU)

_base_ = [
    '../_base_/models/obsdm_r18.py',
    '../_base_/datasets/hituav_plain.py',
    '../_base_/schedules/adamw_short.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
data_root = 'data/HIT-UAV/'
num_images = 32
max_epochs = 56

# -------- changed sometimes --------
batch_size = 2  # images
lr = 1e-3
norm_cfg = dict(momentum=0.1)  # 0.03 follows weights that change fast too slowly
obj_gain = 7.0  # ten times the recipe's: the objectness must rise within some hundred steps
base_sizes = [  # (w, h) in px, fitted by tools/analysis_tools/fit_anchors.py
    [(8, 16), (11, 19), (17, 17)],
    [(15, 26), (22, 29), (40, 26)],
    [(65, 38), (43, 62), (86, 84)],
]

# -------- never changed: where the values above go --------
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=2,
    dataset=dict(data_root=data_root, indices=num_images),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(data_root=data_root, ann_file='ImageSets/Main/train.txt', indices=num_images),
)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=max_epochs, val_interval=14)
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
