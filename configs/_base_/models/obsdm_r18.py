# The OBSDM detector: ResNet-18, cross-scale PAFPN with semantic decoupling, anchor-based head.

norm_cfg = dict(type='BN', momentum=0.03, eps=1e-3)  # of every layer, the backbone included

model = dict(
    type='SingleStageDetector',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[0, 0, 0],
        std=[255, 255, 255],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        pad_value=114 / 255,  # added after mean and std: the gray that mosaics are padded with
    ),
    backbone=dict(
        type='SSLResNet18',
        out_indices=(1, 2, 3),
        norm_cfg=norm_cfg,
        # A self-supervised checkpoint, .pth or .safetensors; None: random weights.
        init_cfg=dict(type='SSLPretrained', checkpoint=None),
    ),
    neck=dict(
        type='CrossPAFPN',
        in_channels=[128, 256, 512],
        cross_links=True,
        decoupling='spatial',
        norm_cfg=norm_cfg,
    ),
    bbox_head=dict(
        type='DecoupledCrossHead',
        num_classes=20,
        img_size=640,  # px, of the training images
        head_module=dict(
            type='DecoupledCrossHeadModule',
            in_channels=[128, 256, 512],
            decoupled=False,
            norm_cfg=norm_cfg,
        ),
        prior_generator=dict(
            type='mmdet.YOLOAnchorGenerator',
            base_sizes=[  # (w, h) in px
                [(12, 16), (19, 36), (40, 28)],
                [(36, 75), (76, 55), (72, 146)],
                [(142, 110), (192, 243), (459, 401)],
            ],
            strides=[8, 16, 32],
        ),
        bbox_coder=dict(type='ScaledSigmoidBBoxCoder'),
        assigner=dict(type='AnchorOTAAssigner', ratio_thr=4.0, topk=10, iou_weight=3.0),
        box_gain=0.05,
        obj_gain=0.7,
        cls_gain=0.3,
        obj_level_weights=[4.0, 1.0, 0.4],
    ),
    test_cfg=dict(
        score_thr=0.001,
        nms=dict(type='nms', iou_threshold=0.65),
        nms_pre=3000,
        max_per_img=300,
        multi_label=True,
    ),
)
