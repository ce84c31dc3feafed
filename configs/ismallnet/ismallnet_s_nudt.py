# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The small iSmallNet on NUDT-SIRST for long runs, from the weights of ismallnet_s_nuaa; validated
# on held-out training images.

_base_ = [
    '../_base_/models/ismallnet_s.py',
    '../_base_/datasets/nudt_sirst_paste.py',
    '../_base_/schedules/flat_cosine_irstd.py',
    '../_base_/runtime/default_runtime_seg.py',
]

# -------- changed often --------
max_epochs = 50
flat_epochs = max_epochs // 2  # epochs at the full rate; then the cosine
batch_size = 8  # crops
epoch_length = 1600  # crops

# -------- changed sometimes --------
load_from = 'ismallnet_s_nuaa'  # a model that ships, or a file; None: from the beginning
lr = 1.4e-3
# of the network, such as channels and edge_weight: those of _base_/models/ismallnet_s.py

# -------- never changed: where the values above go --------
train_dataloader = dict(batch_size=batch_size, dataset=dict(length=epoch_length))
train_cfg = dict(max_epochs=max_epochs, val_interval=10)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(begin=flat_epochs, end=max_epochs, T_max=max_epochs - flat_epochs)
