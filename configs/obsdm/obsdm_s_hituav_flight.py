# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The middle OBSDM on HIT-UAV split by flights: its worth on flights that are new to it.
# The lists lie in configs/_base_/datasets/splits, with 50 frames between the two sides.

_base_ = './obsdm_s_hituav.py'

# -------- changed often --------
max_epochs = 60
flat_epochs = max_epochs * 2 // 3  # constant rate, then a cosine
train_list = '{{ fileDirname }}/../_base_/datasets/splits/hituav_flight_train.txt'
val_list = '{{ fileDirname }}/../_base_/datasets/splits/hituav_flight_val.txt'

# -------- changed sometimes --------
plain_epochs = max_epochs // 10  # the last ones are without mosaics

# -------- never changed: where the values above go --------
train_dataloader = dict(dataset=dict(dataset=dict(dataset=dict(ann_file=train_list))))
val_dataloader = dict(dataset=dict(ann_file=val_list))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(begin=flat_epochs, end=max_epochs, T_max=max_epochs - flat_epochs)
custom_hooks = _base_.custom_hooks
custom_hooks[2].num_last_epochs = plain_epochs  # YOLOXModeSwitchHook
