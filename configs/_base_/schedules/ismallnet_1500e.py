# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The recipe of iSmallNet: 1500 epochs of SGD, the rate up to its peak at half time and down again.
# Fewer epochs: change train_cfg.max_epochs and total_steps together.

max_epochs = 1500  # epochs

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=50)  # epochs
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4),
)

param_scheduler = [
    dict(
        type='OneCycleLR',
        by_epoch=True,
        convert_to_iter_based=True,
        eta_max=0.05,  # the peak
        total_steps=max_epochs,  # epochs
        pct_start=0.5,  # of the run
        anneal_strategy='linear',
        div_factor=1e4,  # peak / first rate
        final_div_factor=1,  # first rate / last
    ),
]

auto_scale_lr = dict(enable=False, base_batch_size=16)  # images
