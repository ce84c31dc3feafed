# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# EfficientNet-Lite0 teaches the half-width ResNet-18 of obsdm_t on your own images, without labels.
# python tools/train.py configs/distillation/distill_r18h_folder.py --cfg-options data_root=FOLDER

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
