# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The middle OBSDM: ResNet-18 of full width, the neck at strides 4 to 16, the anchor-free head of
# RTMDet.

norm_cfg = dict(type='BN', momentum=0.03, eps=1e-3)  # of every layer
act_cfg = dict(type='ReLU', inplace=True)  # of neck and head

model = dict(
    type='SingleStageDetector',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        # as in self-supervised pretraining, whose weights the backbone takes
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        pad_value=0,
    ),
    backbone=dict(
        type='SSLResNet18',
        out_indices=(0, 1, 2),
        norm_cfg=norm_cfg,
        # A self-supervised checkpoint, .pth or .safetensors; None: random weights.
        init_cfg=dict(type='SSLPretrained', checkpoint=None),
    ),
    neck=dict(
        type='CrossPAFPN',
        in_channels=[64, 128, 256],  # strides 4, 8, 16
        widths=[48, 72, 88],
        num_convs=2,
        link_ratio=0.25,
        out_channels=64,
        cross_links=True,
        decoupling='none',
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
    ),
    bbox_head=dict(
        type='RTMDetSepBNHead',
        num_classes=4,
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
        anchor_generator=dict(type='MlvlPointGenerator', offset=0, strides=[4, 8, 16]),
        bbox_coder=dict(type='DistancePointBBoxCoder'),
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        with_objectness=False,
        exp_on_reg=False,
        share_conv=True,
        pred_kernel_size=1,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
    ),
    train_cfg=dict(
        assigner=dict(
            type='IgnoreRegionAssigner',
            assigner=dict(type='DynamicSoftLabelAssigner', topk=13),
        ),
        allowed_border=-1,
        pos_weight=-1,
        debug=False,
    ),
    test_cfg=dict(
        nms_pre=1000,  # of each level
        min_bbox_size=0,
        score_thr=0.001,
        nms=dict(type='nms', iou_threshold=0.65),
        max_per_img=300,
    ),
)
