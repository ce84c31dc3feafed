# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The same without the augmentation-aware heads: a SimSiam at four stages.

_base_ = './detsim_r18h_hituav.py'

# -------- changed often --------
auxiliary_head = None

# -------- changed sometimes --------
train_pipeline = [
    dict(type='LoadImageStrict', high_bit_depth='scale'),
    dict(type='AugmentedViews', views=[{{_base_.view}}, {{_base_.view}}]),
    dict(type='PackViews', targets=[]),  # no differences of the views are needed
]

# -------- never changed: where the values above go --------
model = dict(auxiliary_head=auxiliary_head)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
