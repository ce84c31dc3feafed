# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# make demo: the shipped detector of thermal drone images learns four new kinds of objects from 128
# frames that come with the repository, in minutes on a CPU.

_base_ = [
    '../_base_/models/obsdm_t.py',
    '../_base_/datasets/svanstrom_ir.py',
    '../_base_/schedules/adamw_flat_cosine_iters.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
data_root = 'demo/drones/'
max_iters = 400  # iterations
batch_size = 8  # images
load_from = 'obsdm_t_hituav'  # a model that ships

# -------- changed sometimes --------
lr = 1e-3
crop_size = (224, 224)  # px, of the training images
warmup_iters = 20  # iterations

# -------- never changed: where the values above go --------
train_dataset = _base_.train_dataloader.dataset
train_dataset.dataset.data_root = data_root
train_dataset.dataset.pipeline[3].crop_size = crop_size  # ObjectCenteredCrop
train_dataset.pipeline[0].img_scale = crop_size  # SmallObjectMosaic
train_dataset.pipeline[1].img_scale = crop_size  # MosaicAffine
train_dataloader = dict(
    batch_size=batch_size,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=train_dataset,
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = warmup_iters
param_scheduler[1].update(begin=warmup_iters, end=max_iters, T_max=max_iters - warmup_iters)
custom_hooks = _base_.custom_hooks
custom_hooks[0].update(momentum=0.05, gamma=20)  # StepEMAHook: decay 0.95, steps of ramp
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(interval=20, log_metric_by_epoch=False),  # iterations
    checkpoint=dict(by_epoch=False, interval=max_iters, save_best=None),
)
