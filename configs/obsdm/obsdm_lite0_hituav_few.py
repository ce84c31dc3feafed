# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The same detector on EfficientNet-Lite0 with its ImageNet weights: what labels of another kind
# are worth, as the upper line of the comparison. Needs the extra lite0.

_base_ = './obsdm_t_hituav_few.py'

# -------- changed often --------
max_iters = 2500  # iterations

# -------- changed sometimes --------
frozen_norms = False  # keep the running statistics of ImageNet

# -------- never changed: where the values above go --------
model = dict(
    backbone=dict(
        _delete_=True,
        type='EfficientNetLite0',
        out_indices=(0, 1, 2),
        norm_eval=frozen_norms,
        init_cfg=dict(type='EfficientNetLite0Pretrained'),
    ),
    neck=dict(in_channels=[24, 40, 112]),
)
