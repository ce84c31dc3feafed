# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The small iSmallNet on NUAA-SIRST, trained as long as the field does, 4 Gpixel, from the weights
# of ismallnet_s_ir; to take the place of ismallnet_s_nuaa.

_base_ = [
    '../_base_/models/ismallnet.py',
    '../_base_/datasets/nuaa_sirst_paste.py',
    '../_base_/schedules/flat_cosine_irstd.py',
    '../_base_/runtime/default_runtime_seg.py',
]

# -------- changed often --------
max_epochs = 75
flat_epochs = max_epochs // 2  # epochs at the full rate; then the cosine
batch_size = 4  # crops
epoch_length = 800  # crops

# -------- changed sometimes --------
load_from = None  # a checkpoint of ismallnet_s_ir: staged pretraining
lr = 5e-4
channels = [32, 32, 64, 96]  # of each level, the finest (half the image's resolution) first
num_blocks = [1, 1, 1, 1]
space_to_depth = 2  # px
prior_prob = 0.01  # share of target pixels that the logits start from
edge_weight = 4.0  # of pixels at the border of a target
hard_fraction = 0.5  # share of the pixels that count, those with the greatest loss
side_levels = [0, 1, 2, 3]  # levels that learn the mask as well, in training only

# -------- never changed: where the values above go --------
train_dataloader = dict(batch_size=batch_size, dataset=dict(length=epoch_length))
train_cfg = dict(max_epochs=max_epochs, val_interval=75)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),  # iterations
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        convert_to_iter_based=True,
        begin=flat_epochs,
        end=max_epochs,
        T_max=max_epochs - flat_epochs,
        eta_min_ratio=0.01,  # last learning rate / first
    ),
]
model = dict(
    data_preprocessor=dict(mean=None, std=None, image_norm=dict()),
    backbone=dict(channels=channels, num_blocks=num_blocks, space_to_depth=space_to_depth),
    neck=dict(in_channels=channels, num_blocks=num_blocks),
    decode_head=dict(
        prior_prob=prior_prob,
        loss_decode=[
            dict(type='MapBCELoss', edge_weight=edge_weight, hard_fraction=hard_fraction),
            dict(type='SoftIoULoss'),
        ],
        side_levels=side_levels,
        head_module=dict(in_channels=channels, depth_to_space=space_to_depth),
    ),
)
