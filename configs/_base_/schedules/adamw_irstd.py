# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# For runs of hundreds to some thousands of steps on small targets, where the published 1500 epochs
# of SGD are not to be had.

train_cfg = dict(
    type='EpochBasedTrainLoop',
    max_epochs=135,  # epochs
    val_interval=45,  # epochs
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='DecayGroupsOptimWrapperConstructor',  # no decay on norms and biases
    # fused: one pass over the weights a step
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, fused=True),
)

param_scheduler = [
    dict(
        type='WarmupOneCycleLR',
        by_epoch=True,
        convert_to_iter_based=True,
        warmup_epochs=2,  # epochs
        min_warmup_iters=50,  # iterations
        max_fraction=0.1,  # of the run
        bias_start=0.0,  # learning rate of biases at the start; weights start at 0 too
        final_factor=0.01,  # last learning rate / first
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
