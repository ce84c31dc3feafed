# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The small iSmallNet on NUAA-SIRST with the authors' recipe: what ismallnet_s_nuaa.py, the same
# network with the recipe for few hours, is compared with.

_base_ = [
    '../_base_/models/ismallnet.py',
    '../_base_/datasets/nuaa_sirst.py',
    '../_base_/schedules/ismallnet_1500e.py',
    '../_base_/runtime/default_runtime_seg.py',
]

# -------- changed often --------
max_epochs = 1500
batch_size = 16  # images

# -------- changed sometimes --------
channels = [32, 32, 64, 96]  # of each level, the finest (half the image's resolution) first
num_blocks = [1, 1, 1, 1]
space_to_depth = 2  # px

# -------- never changed: where the values above go --------
train_dataloader = dict(batch_size=batch_size)
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].total_steps = max_epochs
model = dict(
    backbone=dict(channels=channels, num_blocks=num_blocks, space_to_depth=space_to_depth),
    neck=dict(in_channels=channels, num_blocks=num_blocks),
    decode_head=dict(
        head_module=dict(in_channels=channels, depth_to_space=space_to_depth),
    ),
)
