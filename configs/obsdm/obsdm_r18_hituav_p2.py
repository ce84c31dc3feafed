# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# A fourth level of stride 4 for the smallest objects.

_base_ = './obsdm_r18_hituav.py'

# -------- changed often --------
# see obsdm_r18_hituav.py

# -------- changed sometimes --------
base_sizes = [  # (w, h) in px, fitted by tools/analysis_tools/fit_anchors.py --num-anchors 12
    [(8, 13), (8, 18), (13, 15)],
    [(11, 21), (18, 18), (17, 27)],
    [(40, 24), (31, 32), (36, 58)],
    [(64, 37), (55, 69), (88, 84)],
]

# -------- never changed: what this variant is --------
model = dict(
    backbone=dict(out_indices=(0, 1, 2, 3)),
    neck=dict(in_channels=[64, 128, 256, 512]),
    bbox_head=dict(
        head_module=dict(in_channels=[64, 128, 256, 512]),
        prior_generator=dict(strides=[4, 8, 16, 32], base_sizes=base_sizes),
        obj_level_weights=[4.0, 1.0, 0.4, 0.1],
    ),
)
