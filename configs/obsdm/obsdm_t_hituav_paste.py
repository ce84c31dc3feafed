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
crop_size = (320, 320)  # px
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
            dict(
                type='SmallObjectMosaic',
                img_scale=crop_size,
                prob=0.3,
                nine_prob=0.0,
                pad_val=114,
            ),
            dict(
                type='MosaicAffine',
                img_scale=crop_size,
                scale=0.0,
                translate=0.0,
                min_area_ratio=0.3,
                pad_val=114,
            ),
            dict(type='MultiplicativeHSV', hue=0.0, saturation=0.0, value=0.3),
            dict(type='RandomGammaNoise', gamma=(0.7, 1.4), noise=4.0, prob=0.5),
            dict(type='RandomFlip', prob=[0.5, 0.2], direction=['horizontal', 'vertical']),
            dict(type='SmallBoxFilter', min_size=2.0, max_aspect=20.0),  # px, ratio of the sides
            dict(type='PackDetInputs'),
        ],
    ),
)
