# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Comparison of heads: obsdm_t_hituav.py with the published head, anchors and assignment.

_base_ = './obsdm_t_hituav.py'

# -------- changed often --------
base_sizes = [  # (w, h) in px, as tools/analysis_tools/fit_anchors.py fits them to HIT-UAV
    [(8, 16), (11, 19), (17, 17)],
    [(15, 26), (22, 29), (40, 26)],
    [(65, 38), (43, 62), (86, 84)],
]

# -------- changed sometimes --------
obj_gain = 7.0  # ten times the recipe's: the objectness must rise within some hundred steps

# -------- never changed: where the values above go --------
model = dict(
    bbox_head=dict(
        _delete_=True,
        type='DecoupledCrossHead',
        num_classes=4,
        img_size=640,  # px, that the gains belong to
        head_module=dict(
            type='DecoupledCrossHeadModule',
            in_channels=[48, 48, 48],
            strides=[4, 8, 16],
            norm_cfg=dict(type='BN', momentum=0.03, eps=1e-3),
        ),
        prior_generator=dict(
            type='mmdet.YOLOAnchorGenerator', base_sizes=base_sizes, strides=[4, 8, 16]
        ),
        bbox_coder=dict(type='ScaledSigmoidBBoxCoder'),
        assigner=dict(type='AnchorOTAAssigner', ratio_thr=4.0, topk=10, iou_weight=3.0),
        box_gain=0.05,
        obj_gain=obj_gain,
        cls_gain=0.3,
        obj_level_weights=[4.0, 1.0, 0.4],
    ),
    train_cfg=None,
    test_cfg=dict(multi_label=True),
)
