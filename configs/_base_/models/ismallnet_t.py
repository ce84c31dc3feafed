# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The tiny iSmallNet: a quarter of the resolution inside, without losing a pixel, three levels,
# attention in the head alone; each image by its own level and spread; the losses of long runs.

_base_ = './ismallnet.py'

channels = [24, 32, 48]  # of each level, the finest (a quarter of the image's resolution) first
num_blocks = [1, 1, 1]
space_to_depth = 4  # px
attention = False  # in encoder and neck; it takes a quarter of the time
prior_prob = 0.01  # share of target pixels that the logits start from
edge_weight = 4.0  # of pixels at the border of a target
hard_fraction = 0.5  # share of the pixels that count, those with the greatest loss
side_levels = [0, 1, 2]  # levels that learn the mask as well, in training only

model = dict(
    data_preprocessor=dict(mean=None, std=None, image_norm=dict()),
    backbone=dict(
        channels=channels,
        num_blocks=num_blocks,
        space_to_depth=space_to_depth,
        attention=attention,
    ),
    neck=dict(in_channels=channels, num_blocks=num_blocks, attention=attention),
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
