# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Comparison of sampling: obsdm_t_hituav.py with objects pasted from other crops, rare classes and
# tiny objects more often.

_base_ = './obsdm_t_hituav.py'

# -------- changed often --------
paste_prob = 0.5

# -------- changed sometimes --------
class_weights = [1.0, 1.0, 1.5, 10.0]  # person, car, bicycle, other vehicle
size_weights = [(16, 2.0)]  # objects below 16 px twice as often

# -------- never changed: where the values above go --------
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(
                type='BoxCopyPaste',
                prob=paste_prob,
                num_images=2,
                class_weights=class_weights,
                size_weights=size_weights,
            ),
            *_base_.train_dataloader.dataset.pipeline,
        ],
    ),
)
