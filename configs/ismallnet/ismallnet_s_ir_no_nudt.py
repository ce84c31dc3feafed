# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Leave one set out: what ismallnet_s_ir's recipe is worth on images from elsewhere. Trained without
# NUDT, from the beginning and for a small budget; 200 images of NUDT are the elsewhere.

_base_ = [
    '../_base_/models/ismallnet_s.py',
    '../_base_/datasets/ir_mixture_no-nudt.py',
    '../_base_/schedules/flat_cosine_irstd.py',
    '../_base_/runtime/default_runtime_seg.py',
]

# -------- changed often --------
max_epochs = 12
flat_epochs = max_epochs // 2  # epochs at the full rate; then the cosine
batch_size = 10  # crops
epoch_length = 1000  # crops

# -------- changed sometimes --------
lr = 1e-3
# of the network, such as channels and edge_weight: those of _base_/models/ismallnet_s.py

# -------- never changed: where the values above go --------
train_dataloader = dict(batch_size=batch_size, dataset=dict(length=epoch_length))
val_dataloader = dict(_delete_=True, **_base_.test_dataloader)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=max_epochs, val_interval=12)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(begin=flat_epochs, end=max_epochs, T_max=max_epochs - flat_epochs)
