# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The same with two more views that consist of 3x3 small crops.

_base_ = './detsim_r18h_hituav.py'

# -------- changed often --------
local_weight = 1.0  # of the local views' similarity against that of the whole views

# -------- changed sometimes --------
train_pipeline = [
    dict(type='LoadImageStrict', high_bit_depth='scale'),
    dict(
        type='AugmentedViews',
        views=[{{_base_.view}}, {{_base_.view}}, {{_base_.local_view}}, {{_base_.local_view}}],
    ),
    dict(type='PackViews', targets=['crop', 'color']),
]

# -------- never changed: where the values above go --------
model = dict(local_weight=local_weight)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
