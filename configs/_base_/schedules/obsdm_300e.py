# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The recipe of the detector: 300 epochs of SGD at a nominal batch of 64 images.
# Fewer epochs: change train_cfg.max_epochs only, the schedules follow it.
# A smaller GPU: batch size × GPUs × accumulative_counts = 64 keeps the recipe as it is.

train_cfg = dict(
    type='EpochBasedTrainLoop',
    max_epochs=300,  # epochs
    val_interval=10,  # epochs
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    # The loss is multiplied by the batch size: gradients add up over micro-batches and GPUs.
    type='SumOptimWrapper',
    constructor='DecayGroupsOptimWrapperConstructor',  # no decay on norms, biases, implicit vectors
    accumulative_counts=1,  # batches to a step
    optimizer=dict(
        type='SGD',
        lr=0.01,
        momentum=0.937,
        nesterov=True,
        weight_decay=5e-4,  # at 64 images a step; BatchScaledWeightDecayHook scales it
    ),
)

param_scheduler = [
    dict(
        type='WarmupOneCycleLR',
        by_epoch=True,
        convert_to_iter_based=True,
        warmup_epochs=3,  # epochs
        min_warmup_iters=1000,  # iterations
        max_fraction=0.2,  # of the run: keeps short runs out of an endless warm-up
        bias_start=0.1,  # learning rate of biases at the start; weights start at 0
        final_factor=0.1,  # last learning rate / first
    ),
    dict(
        type='WarmupMomentum',
        by_epoch=True,
        convert_to_iter_based=True,
        warmup_epochs=3,  # epochs
        min_warmup_iters=1000,  # iterations
        max_fraction=0.2,  # of the run
        start=0.8,
    ),
]

custom_hooks = [
    dict(type='BatchScaledWeightDecayHook', base_total_batch_size=64),  # images a step
    dict(
        type='StepEMAHook',
        ema_type='ExpMomentumEMA',  # decay after t steps = (1 - momentum) (1 - exp(-t / gamma))
        momentum=0.0001,  # decay 0.9999
        gamma=2000,  # steps of ramp
        update_buffers=True,  # BN statistics are averaged too
    ),
]

sync_bn = 'torch'  # statistics of all GPUs' images

# No auto_scale_lr: gradients are sums over images, so the rate does not depend on the batch size.
