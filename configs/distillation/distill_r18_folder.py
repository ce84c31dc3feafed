# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# EfficientNet-Lite0 teaches a whole ResNet-18, of obsdm_s and obsdm_r18, on your own images.
# python tools/train.py configs/distillation/distill_r18_folder.py --cfg-options data_root=FOLDER

_base_ = './distill_r18h_lite0.py'

# -------- changed often --------
data_root = 'data/images'  # the folder, subfolders included
max_epochs = 60

# -------- changed sometimes --------
image_list = None  # text file below data_root, one image a line; None: all images

# -------- never changed: where the values above go --------
train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageTreeDataset',
        data_root=data_root,
        image_list=image_list,
        pipeline=_base_.thermal.pipeline,
    )
)
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),  # obsdm_s
    teacher_mean=[127, 127, 127],  # of its own training
    teacher_std=[128, 128, 128],
    backbone=dict(base_channels=64, out_indices=(0, 1, 2, 3)),
    teacher=dict(out_indices=(0, 1, 2, 3)),  # strides 4 to 32
    student_channels=[64, 128, 256, 512],
    teacher_channels=[24, 40, 112, 320],
)
