# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# For comparison with obsdm_r18_hituav_320.py: RTMDet-tiny as mmdet ships it, from scratch, on the
# same images, augmentation, size and number of epochs, with RTMDet's optimizer and schedule.

_base_ = [
    '../_base_/models/rtmdet_tiny.py',
    '../_base_/datasets/hituav_320.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
max_epochs = 20
batch_size = 4  # images

# -------- changed sometimes --------
lr = 0.0005  # 0.004 at 256 images, scaled by the root of the batch size as AdamW wants it

# -------- never changed: as mmdet has it --------
model = dict(
    train_cfg=dict(assigner=dict(_delete_=True, type='DynamicSoftLabelAssigner', topk=13)),
    test_cfg=dict(nms_pre=30000),
)

# -------- never changed: its schedule, shortened --------
train_dataloader = dict(batch_size=batch_size)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=lr, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0, bypass_duplicate=True),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-5, by_epoch=False, begin=0, end=200),  # iterations
    dict(
        type='CosineAnnealingLR',
        eta_min=lr * 0.05,
        begin=max_epochs // 2,
        end=max_epochs,
        T_max=max_epochs // 2,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
custom_hooks = [
    dict(
        type='EMAHook',
        ema_type='ExpMomentumEMA',
        momentum=0.0002,
        update_buffers=True,
        priority=49,
    )
]
