# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The small OBSDM: half a ResNet-18, the neck at strides 4 to 16, the anchor-free head of RTMDet.

norm_cfg = dict(type='BN', momentum=0.03, eps=1e-3)  # of every layer
act_cfg = dict(type='ReLU', inplace=True)  # of neck and head

model = dict(
    type='SingleStageDetector',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[127, 127, 127],
        std=[128, 128, 128],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        pad_value=-13 / 128,  # added after mean and std: gray 114, as in the mosaics
    ),
    backbone=dict(
        type='SSLResNet18',
        base_channels=32,
        out_indices=(0, 1, 2),
        norm_cfg=norm_cfg,
        # A self-supervised checkpoint, .pth or .safetensors; None: random weights.
        init_cfg=dict(type='SSLPretrained', checkpoint=None),
    ),
    neck=dict(
        type='CrossPAFPN',
        in_channels=[32, 64, 128],  # strides 4, 8, 16
        widths=[24, 48, 96],
        num_convs=2,
        link_ratio=0.5,
        out_channels=48,
        cross_links=True,
        decoupling='none',
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
    ),
    bbox_head=dict(
        type='RTMDetSepBNHead',
        num_classes=4,
        in_channels=48,
        feat_channels=48,
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
