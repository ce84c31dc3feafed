# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# For long runs that last over several sessions: the rate is flat and then falls by a cosine; how
# long each lasts is a matter of the config. The averaged weights are usable at every stop, not at
# the end alone.

max_epochs = 75  # epochs
flat_epochs = 50  # epochs

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=25)  # epochs
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='DecayGroupsOptimWrapperConstructor',  # no decay on norms and biases
    # fused: one pass over the weights a step
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=5.0),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),  # iterations
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        convert_to_iter_based=True,
        begin=flat_epochs,  # epochs
        end=max_epochs,  # epochs
        T_max=max_epochs - flat_epochs,  # epochs
        eta_min_ratio=0.01,  # last learning rate / first
    ),
]

custom_hooks = [
    dict(
        type='StepEMAHook',
        ema_type='MomentumAnnealingEMA',  # after t steps max(momentum, gamma / (gamma + t))
        momentum=0.002,  # share of the newest weights
        gamma=4,  # steps
        update_buffers=True,  # BN statistics are averaged too
    ),
]
