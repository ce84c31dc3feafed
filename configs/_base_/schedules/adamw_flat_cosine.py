# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# AdamW at a constant rate, then a cosine. How long, and where the cosine begins, is a matter of the
# config, which also names its hooks.

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
