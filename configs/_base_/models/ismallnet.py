# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# iSmallNet: two nested streams that learn the interiors and the boundaries of targets.

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='IRSTDDataPreProcessor',
        mean=[124.55, 118.90, 102.94],  # R, G, B
        std=[56.77, 55.97, 57.50],
        bgr_to_rgb=True,
        size_divisor=16,
        pad_mode='reflect',
    ),
    backbone=dict(
        type='DualStreamEncoder',
        in_channels=3,
        channels=[16, 32, 64, 128, 256],
        num_blocks=[1, 2, 2, 2, 2],
    ),
    neck=dict(
        type='NestedInteractiveNeck',
        in_channels=[16, 32, 64, 128, 256],
        num_blocks=[1, 2, 2, 2, 2],
        num_streams=2,
    ),
    decode_head=dict(
        type='InteriorBoundaryFusionHead',
        head_module=dict(
            type='InteriorBoundaryFusionHeadModule',
            in_channels=[16, 32, 64, 128, 256],
            channels=16,
        ),
        loss_decode=[dict(type='MapBCELoss'), dict(type='SoftIoULoss')],
        threshold=0.5,
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
