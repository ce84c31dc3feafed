# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# DetSim of a ResNet-18 as published: four stages, crop and color predicted.

in_channels = [64, 128, 256, 512]  # of the stages

model = dict(
    type='DetSim',
    data_preprocessor=dict(
        type='SelfSupDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='ResNet',
        depth=18,
        out_indices=(0, 1, 2, 3),
        zero_init_residual=False,
    ),
    neck=dict(
        type='MultiStageProjector',
        in_channels=in_channels,
        hid_channels=2048,
        out_channels=2048,
        num_layers=[3, 4, 3, 3],
    ),
    head=dict(
        type='MultiStageSimilarityHead',
        num_stages=4,
        in_channels=2048,
        hid_channels=512,
        stop_gradient=True,  # of the targets; False: the features are expected to collapse
    ),
    auxiliary_head=dict(
        type='AugmentationAwareHead',
        in_channels=in_channels,
        hid_channels=512,
        # weight of each target, -1: off
        weights=dict(crop=0.5, color=0.5, flip=-1, blur=-1, rotation=-1, solarize=-1),
    ),
    stage_weights=[0.1, 0.2, 0.3, 0.4],
)
