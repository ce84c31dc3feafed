# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# A narrow iSmallNet learns synthetic infrared targets on two CPU cores within minutes.
# The data is made below data/synthetic_irstd at first use.

_base_ = [
    '../_base_/models/ismallnet.py',
    '../_base_/datasets/synthetic_irstd.py',
    '../_base_/schedules/adamw_irstd.py',
    '../_base_/runtime/default_runtime_seg.py',
]

# -------- changed often --------
max_epochs = 9
batch_size = 8  # images

# -------- changed sometimes --------
lr = 2e-3
channels = [16, 16, 32, 64]  # of each level, the finest (half the image's resolution) first
num_blocks = [1, 1, 1, 1]
space_to_depth = 2  # px
prior_prob = 0.01  # share of target pixels that the logits start from

# -------- never changed: where the values above go --------
train_dataloader = dict(batch_size=batch_size)
train_cfg = dict(max_epochs=max_epochs, val_interval=9)
optim_wrapper = dict(optimizer=dict(lr=lr))
model = dict(
    backbone=dict(channels=channels, num_blocks=num_blocks, space_to_depth=space_to_depth),
    neck=dict(in_channels=channels, num_blocks=num_blocks),
    decode_head=dict(
        prior_prob=prior_prob,
        loss_decode=[dict(type='MapBCELoss'), dict(type='SoftIoULoss', overlap='minimum')],
        head_module=dict(in_channels=channels, depth_to_space=space_to_depth),
    ),
)
