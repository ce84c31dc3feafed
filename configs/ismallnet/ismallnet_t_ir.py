# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The tiny iSmallNet for anybody's infrared images, in real time on a CPU: a quarter of the
# resolution inside, without losing a pixel, three levels, attention in the head alone. The recipe
# of ismallnet_s_ir.

_base_ = [
    '../_base_/models/ismallnet_t.py',
    '../_base_/datasets/ir_mixture.py',
    '../_base_/schedules/flat_cosine_irstd.py',
    '../_base_/runtime/default_runtime_seg.py',
]

# -------- changed often --------
max_epochs = 40
flat_epochs = max_epochs // 2  # epochs at the full rate; then the cosine
batch_size = 16  # crops
epoch_length = 3200  # crops

# -------- changed sometimes --------
lr = 3e-3
# of the network, such as channels and edge_weight: those of _base_/models/ismallnet_t.py

# -------- never changed: where the values above go --------
train_dataloader = dict(batch_size=batch_size, dataset=dict(length=epoch_length))
test_dataloader = dict(_delete_=True, **_base_.val_dataloader)
train_cfg = dict(max_epochs=max_epochs, val_interval=10)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(begin=flat_epochs, end=max_epochs, T_max=max_epochs - flat_epochs)
