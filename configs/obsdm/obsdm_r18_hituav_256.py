# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The budget at which backbones and necks are compared on two CPU cores: 256 px crops of HIT-UAV.
# python tools/train.py configs/obsdm/obsdm_r18_hituav_256.py --amp --cfg-options randomness.seed=0

_base_ = './obsdm_r18_hituav_320.py'

# -------- changed often --------
max_epochs = 4
batch_size = 4  # images

# -------- changed sometimes --------
crop_size = (256, 256)  # px, (height, width)

# -------- never changed: where the values above go --------
train_dataset = _base_.train_dataloader.dataset
train_dataset.dataset.pipeline[2].crop_size = crop_size  # RandomCrop
train_dataset.pipeline[0].img_scale = crop_size  # SmallObjectMosaic
train_dataset.pipeline[1].img_scale = crop_size  # MosaicAffine
train_dataloader = dict(batch_size=batch_size, dataset=train_dataset)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
