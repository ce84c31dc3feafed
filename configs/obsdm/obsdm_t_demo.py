# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# make demo: the shipped detector of thermal drone images learns four new kinds of objects from 128
# frames that come with the repository, in minutes on a CPU.

_base_ = [
    '../_base_/models/obsdm_t.py',
    '../_base_/datasets/svanstrom_ir.py',
    '../_base_/schedules/adamw_flat_cosine.py',
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
train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters
)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=warmup_iters),
    dict(
        type='CosineAnnealingLR',
        begin=warmup_iters,
        end=max_iters,
        T_max=max_iters - warmup_iters,
        eta_min_ratio=0.05,
        by_epoch=False,
    ),
]
custom_hooks = [
    dict(
        type='StepEMAHook',
        ema_type='ExpMomentumEMA',  # decay after t steps = (1 - momentum) (1 - exp(-t / gamma))
        momentum=0.05,  # decay 0.95
        gamma=20,  # steps of ramp
        update_buffers=True,  # BN statistics are averaged too
        priority=49,
    ),
    dict(type='ChannelsLastHook'),
]
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(interval=20, log_metric_by_epoch=False),  # iterations
    checkpoint=dict(by_epoch=False, interval=max_iters, save_best=None),
)
