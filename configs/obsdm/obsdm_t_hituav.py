# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The small OBSDM on HIT-UAV: no slower than RTMDet-tiny, better on small objects.
# python tools/train.py configs/obsdm/obsdm_t_hituav.py --amp

_base_ = [
    '../_base_/models/obsdm_t.py',
    '../_base_/datasets/hituav_native.py',
    '../_base_/schedules/adamw_flat_cosine.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
max_epochs = 120
flat_epochs = max_epochs * 2 // 3  # constant rate, then a cosine
batch_size = 8  # images
train_list = 'ImageSets/Main/train.txt'
val_list = 'ImageSets/Main/val.txt'

# -------- changed sometimes --------
lr = 1e-3
warmup_iters = 500  # iterations
val_interval = 5  # epochs
plain_epochs = max_epochs // 10  # the last ones are without mosaics

# -------- never changed: where the values above go --------
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(dataset=dict(dataset=dict(ann_file=train_list))),
)
val_dataloader = dict(dataset=dict(ann_file=val_list))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=max_epochs, val_interval=val_interval)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = warmup_iters
param_scheduler[1].update(begin=flat_epochs, end=max_epochs, T_max=max_epochs - flat_epochs)
custom_hooks = _base_.custom_hooks
custom_hooks[2].num_last_epochs = plain_epochs  # YOLOXModeSwitchHook
default_hooks = dict(checkpoint=dict(save_best=None))  # the last weights count
