# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The budget at which backbones and necks are compared on two CPU cores: 256 px crops of HIT-UAV.
# python tools/train.py configs/obsdm/obsdm_r18_hituav_256.py --amp --cfg-options randomness.seed=0

_base_ = [
    '../_base_/models/obsdm_r18.py',
    '../_base_/datasets/hituav_320.py',
    '../_base_/schedules/adamw_short.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
max_epochs = 4
batch_size = 4  # images

# -------- changed sometimes --------
crop_size = (256, 256)  # px, (height, width)
lr = 1e-3
norm_cfg = dict(momentum=0.1)  # 0.03 follows weights that change fast too slowly
obj_gain = 7.0  # ten times the recipe's: the objectness must rise within some hundred steps
base_sizes = [  # (w, h) in px, fitted by tools/analysis_tools/fit_anchors.py
    [(8, 16), (11, 19), (17, 17)],
    [(15, 26), (22, 29), (40, 26)],
    [(65, 38), (43, 62), (86, 84)],
]

# -------- never changed: where the values above go --------
train_dataset = _base_.train_dataloader.dataset
train_dataset.dataset.pipeline[2].crop_size = crop_size  # RandomCrop
train_dataset.pipeline[0].img_scale = crop_size  # SmallObjectMosaic
train_dataset.pipeline[1].img_scale = crop_size  # MosaicAffine
train_dataloader = dict(batch_size=batch_size, dataset=train_dataset)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
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
