# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# adamw_flat_cosine.py for short runs, counted in iterations and with mosaics to the end. How long
# each of it lasts is a matter of the config.

train_cfg = dict(type='IterBasedTrainLoop', max_iters=1500, val_interval=500)
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
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=100),  # iterations
    dict(
        type='CosineAnnealingLR',
        begin=750,
        end=1500,
        T_max=750,
        eta_min_ratio=0.05,  # last learning rate / first
        by_epoch=False,
    ),
]
custom_hooks = [
    dict(
        type='StepEMAHook',
        ema_type='ExpMomentumEMA',  # decay after t steps = (1 - momentum) (1 - exp(-t / gamma))
        momentum=0.005,  # decay 0.995
        gamma=100,  # steps of ramp
        update_buffers=True,  # BN statistics are averaged too
        priority=49,
    ),
    dict(type='ChannelsLastHook'),
]
