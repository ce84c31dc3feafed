# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# AdamW for distillation: warm-up, then a cosine to the end, whatever the number of epochs.

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=60)  # epochs

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='DecayGroupsOptimWrapperConstructor',  # no decay on norms and biases
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05, fused=True),
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
