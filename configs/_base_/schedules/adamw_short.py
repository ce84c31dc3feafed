# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# For runs of a few hundred or thousand steps (a demo, a small set, a CPU). The published recipe
# (obsdm_300e.py) needs tens of thousands: the objectness, a mean over all cells, moves too slowly
# under SGD. AdamW's steps do not depend on the size of a loss term.

train_cfg = dict(
    type='EpochBasedTrainLoop',
    max_epochs=20,  # epochs
    val_interval=10,  # epochs
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='DecayGroupsOptimWrapperConstructor',  # no decay on norms, biases, implicit vectors
    # fused: one pass over the weights a step
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, fused=True),
)

param_scheduler = [
    dict(
        type='WarmupOneCycleLR',
        by_epoch=True,
        convert_to_iter_based=True,
        warmup_epochs=1,  # epochs
        min_warmup_iters=100,  # iterations
        max_fraction=0.1,  # of the run
        bias_start=0.0,  # learning rate of biases at the start; weights start at 0 too
        final_factor=0.02,  # last learning rate / first
    ),
]

custom_hooks = [
    dict(
        type='StepEMAHook',
        ema_type='ExpMomentumEMA',  # decay after t steps = (1 - momentum) (1 - exp(-t / gamma))
        momentum=0.002,  # decay 0.998
        gamma=200,  # steps of ramp
        update_buffers=True,  # BN statistics are averaged too
    ),
]
