# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# AdamW at a constant rate, then a cosine; averaged weights; the last epochs without mosaics. How
# long each of it lasts is a matter of the config.

train_cfg = dict(
    type='EpochBasedTrainLoop',
    max_epochs=100,  # epochs
    val_interval=10,  # epochs
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='DecayGroupsOptimWrapperConstructor',  # no decay on norms and biases
    # fused: one pass over the weights a step
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=35.0),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=500),  # iterations
    dict(
        type='CosineAnnealingLR',
        begin=67,  # epochs
        end=100,
        T_max=33,
        eta_min_ratio=0.05,  # last learning rate / first
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
        num_last_epochs=10,
        skip_type_keys=('SmallObjectMosaic', 'MosaicAffine'),
    ),
]
