# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The small OBSDM on thermal video of drones, birds, airplanes and helicopters.
# python tools/train.py configs/obsdm/obsdm_t_drones.py --amp

_base_ = [
    '../_base_/models/obsdm_t.py',
    '../_base_/datasets/svanstrom_ir.py',
    '../_base_/schedules/adamw_flat_cosine.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
max_epochs = 120
flat_epochs = max_epochs * 2 // 3  # constant rate, then a cosine
batch_size = 8  # images

# -------- changed sometimes --------
load_from = 'obsdm_t_hituav'  # thermal too; its four classes become the ones here
lr = 1e-3
warmup_iters = 500  # iterations
val_interval = 10  # epochs
plain_epochs = max_epochs // 10  # the last ones are without mosaics

# -------- never changed: where the values above go --------
train_dataloader = dict(batch_size=batch_size)
train_cfg = dict(max_epochs=max_epochs, val_interval=val_interval)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = warmup_iters
param_scheduler[1].update(begin=flat_epochs, end=max_epochs, T_max=max_epochs - flat_epochs)
custom_hooks = _base_.custom_hooks
custom_hooks[2].num_last_epochs = plain_epochs  # YOLOXModeSwitchHook
default_hooks = dict(checkpoint=dict(save_best=None))  # the last weights count
