# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Leave one set out: what ismallnet_s_ir's recipe is worth on images from elsewhere. Trained without
# NUDT, from the beginning and for a small budget; 200 images of NUDT are the elsewhere.

_base_ = [
    '../_base_/models/ismallnet.py',
    '../_base_/datasets/ir_mixture_no-nudt.py',
    '../_base_/schedules/flat_cosine_irstd.py',
    '../_base_/runtime/default_runtime_seg.py',
]

# -------- changed often --------
max_epochs = 12
flat_epochs = max_epochs // 2  # epochs at the full rate; then the cosine
batch_size = 10  # crops
epoch_length = 1000  # crops

# -------- changed sometimes --------
lr = 1e-3
channels = [32, 32, 64, 96]  # of each level, the finest (half the image's resolution) first
num_blocks = [1, 1, 1, 1]
space_to_depth = 2  # px
prior_prob = 0.01  # share of target pixels that the logits start from
edge_weight = 4.0  # of pixels at the border of a target
hard_fraction = 0.5  # share of the pixels that count, those with the greatest loss
side_levels = [0, 1, 2, 3]  # levels that learn the mask as well, in training only

# -------- never changed: where the values above go --------
train_dataloader = dict(batch_size=batch_size, dataset=dict(length=epoch_length))
val_dataloader = dict(_delete_=True, **_base_.test_dataloader)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=max_epochs, val_interval=12)
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
