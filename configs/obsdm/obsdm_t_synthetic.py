# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Pretraining with boxes that cost nothing: the small OBSDM on shapes drawn into backgrounds, for
# the study of few labels. The data is made below data_root at first use.

_base_ = [
    '../_base_/models/obsdm_t.py',
    '../_base_/datasets/synthetic_det.py',
    '../_base_/schedules/adamw_flat_cosine.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
data_root = 'data/synthetic_pretrain/'
num_images = 2000  # a tenth of them to evaluate
max_epochs = 20
flat_epochs = max_epochs * 2 // 3  # constant rate, then a cosine
batch_size = 8  # images

# -------- changed sometimes --------
lr = 1e-3
plain_epochs = max_epochs // 10  # the last ones are without mosaics

# -------- never changed: where the values above go --------
synthetic = dict(data_root=data_root, num_images=num_images, val_fraction=0.1)
# images, mosaics of them, mixed images
train_dataloader = dict(batch_size=batch_size, dataset=dict(dataset=dict(dataset=synthetic)))
val_dataloader = dict(dataset=synthetic)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(begin=flat_epochs, end=max_epochs, T_max=max_epochs - flat_epochs)
custom_hooks = _base_.custom_hooks
custom_hooks[2].num_last_epochs = plain_epochs  # YOLOXModeSwitchHook
model = dict(bbox_head=dict(num_classes=3))
