# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# obsdm_t from few labeled images of HIT-UAV, evaluated on flights that it has not seen: where
# pretraining may pay. tools/analysis_tools/few_label_study.py runs it for all arms.
# python tools/train.py configs/obsdm/obsdm_t_hituav_few.py --cfg-options pretrained=b.safetensors

_base_ = [
    '../_base_/models/obsdm_t.py',
    '../_base_/datasets/hituav_native.py',
    '../_base_/schedules/adamw_flat_cosine_iters.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
# 50, 100 and 200 images, each list a part of the next; hituav_flight_train.txt: all 1861
train_list = '{{ fileDirname }}/../_base_/datasets/splits/hituav_flight_train_100.txt'
max_iters = 2500  # iterations
pretrained = None  # a backbone of half width, .pth or .safetensors
batch_size = 8  # images

# -------- changed sometimes --------
val_list = '{{ fileDirname }}/../_base_/datasets/splits/hituav_flight_val.txt'
crop_size = (256, 256)  # px, of the training images
lr = 1e-3
backbone_lr_mult = 1.0  # of the backbone's learning rate
val_interval = 500  # iterations

# -------- never changed: where the values above go --------
model = dict(backbone=dict(init_cfg=dict(checkpoint=pretrained)))
train_dataset = _base_.train_dataloader.dataset
train_dataset.dataset.dataset.ann_file = train_list
train_dataset.dataset.dataset.pipeline[3].crop_size = crop_size  # ObjectCenteredCrop
train_dataset.pipeline[0].img_scale = crop_size  # SmallObjectMosaic
train_dataset.pipeline[1].img_scale = crop_size  # MosaicAffine
train_dataloader = dict(
    batch_size=batch_size,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=train_dataset,
)
val_dataloader = dict(dataset=dict(ann_file=val_list))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
optim_wrapper = dict(
    constructor='DefaultOptimWrapperConstructor',  # takes a rate of its own for a part
    optimizer=dict(lr=lr),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        bypass_duplicate=True,
        custom_keys={'backbone': dict(lr_mult=backbone_lr_mult)},
    ),
)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = 200
param_scheduler[1].update(begin=max_iters // 2, end=max_iters, T_max=max_iters - max_iters // 2)
custom_hooks = _base_.custom_hooks
custom_hooks[0].update(momentum=0.002, gamma=300)  # StepEMAHook: decay 0.998, steps of ramp
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=val_interval, save_best=None),  # the last count
)
