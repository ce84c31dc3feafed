# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The recipe of DetSim: 100 epochs of SGD, lr 0.05 for 256 images a step, cosine to zero.
# Fewer or more epochs: change train_cfg.max_epochs only, the schedule follows it.

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100)  # epochs

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'predictor': dict(fix_lr=True)}),
)
# Always on: lr = 0.05 * images a step (batch size times processes) / 256.
auto_scale_lr = dict(base_batch_size=256, enable=True)

param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True)]  # changed after each epoch

custom_hooks = [
    # where BN is not synchronized (CPU): the same statistics in all processes at an epoch's end
    dict(type='SyncBuffersHook'),
    dict(type='FixedLRHook'),  # the predictors keep their learning rate
    dict(type='FeatureSpreadHook', interval=50),  # iterations
]
