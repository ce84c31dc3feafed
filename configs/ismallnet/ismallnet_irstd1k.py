# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# iSmallNet on IRSTD-1k with the authors' recipe; tested at native size, 512x512.

_base_ = [
    '../_base_/models/ismallnet.py',
    '../_base_/datasets/irstd1k.py',
    '../_base_/schedules/ismallnet_1500e.py',
    '../_base_/runtime/default_runtime_seg.py',
]

# -------- changed often --------
data_root = 'data/IRSTD-1k'
max_epochs = 1500
batch_size = 16  # images, over all GPUs

# -------- changed sometimes --------
lr = 0.05  # at the peak of the triangle
with_cp = False  # True: less than half the memory of a training step, a third more time

# -------- never changed: where the values above go --------
train_dataloader = dict(batch_size=batch_size, dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(eta_max=lr, total_steps=max_epochs)
model = dict(backbone=dict(with_cp=with_cp), neck=dict(with_cp=with_cp))
