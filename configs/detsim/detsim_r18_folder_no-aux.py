# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# DetSim without the augmentation-aware heads: a SimSiam at four stages.

_base_ = ['./detsim_r18_folder.py']

# -------- changed often --------
auxiliary_head = None

# -------- changed sometimes --------
targets = []  # differences of the views that the data samples hold

# -------- never changed: where the values above go --------
model = dict(auxiliary_head=auxiliary_head)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageStrict', high_bit_depth='scale'),
            dict(type='AugmentedViews', views=[{{_base_.view}}, {{_base_.view}}]),
            dict(type='PackViews', targets=targets),
        ]
    )
)
