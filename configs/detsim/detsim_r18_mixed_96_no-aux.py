# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# DetSim at 96 px without the augmentation-aware heads: a SimSiam at four stages.

_base_ = ['./detsim_r18_mixed_96.py']

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
tree = dict(type='ImageTreeDataset', pipeline=train_pipeline)
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(**tree, data_root='data/imagenet_sample'),
            dict(
                **tree,
                data_root='data/HIT-UAV',
                image_folder='JPEGImages',
                image_list='ImageSets/Main/train.txt',
            ),
            dict(
                **tree,
                data_root='data/NUAA-SIRST',
                image_folder='image',
                image_list='train.txt',
            ),
        ]
    )
)
