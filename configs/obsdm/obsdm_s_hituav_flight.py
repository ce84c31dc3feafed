# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The middle OBSDM on HIT-UAV split by flights: its worth on flights that are new to it.
# The lists lie in configs/_base_/datasets/splits, with 50 frames between the two sides.

_base_ = './obsdm_s_hituav.py'

# -------- changed often --------
max_epochs = 60
flat_epochs = max_epochs * 2 // 3  # constant rate, then a cosine
train_list = '{{ fileDirname }}/../_base_/datasets/splits/hituav_flight_train.txt'
val_list = '{{ fileDirname }}/../_base_/datasets/splits/hituav_flight_val.txt'

# -------- changed sometimes --------
plain_epochs = max_epochs // 10  # the last ones are without mosaics

# -------- never changed: where the values above go --------
train_dataloader = dict(dataset=dict(dataset=dict(dataset=dict(ann_file=train_list))))
val_dataloader = dict(dataset=dict(ann_file=val_list))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=500),
    dict(
        type='CosineAnnealingLR',
        begin=flat_epochs,
        end=max_epochs,
        T_max=max_epochs - flat_epochs,
        eta_min_ratio=0.05,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
custom_hooks = [
    dict(
        type='StepEMAHook',
        ema_type='ExpMomentumEMA',  # decay after t steps = (1 - momentum) (1 - exp(-t / gamma))
        momentum=0.0005,  # decay 0.9995
        gamma=1000,  # steps of ramp
        update_buffers=True,  # BN statistics are averaged too
        priority=49,
    ),
    dict(type='ChannelsLastHook'),
    dict(
        type='YOLOXModeSwitchHook',
        num_last_epochs=plain_epochs,
        skip_type_keys=('SmallObjectMosaic', 'MosaicAffine'),
    ),
]
