# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Comparison of backbones: obsdm_t_hituav.py on the CSPNeXt of RTMDet-tiny, without its last stage.

_base_ = './obsdm_t_hituav.py'

# -------- changed often --------
widen_factor = 0.375  # channels of RTMDet-tiny

# -------- changed sometimes --------
deepen_factor = 0.167

# -------- never changed: where the values above go --------
model = dict(
    backbone=dict(
        _delete_=True,
        type='CSPNeXt',
        arch='P5',
        expand_ratio=0.5,
        deepen_factor=deepen_factor,
        widen_factor=widen_factor,
        channel_attention=True,
        out_indices=(1, 2, 3),
        norm_cfg=dict(type='BN', momentum=0.03, eps=1e-3),
        act_cfg=dict(type='SiLU', inplace=True),
    ),
    neck=dict(in_channels=[int(c * widen_factor) for c in (128, 256, 512)]),
)
