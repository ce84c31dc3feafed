# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Bosch Small Traffic Lights: train.yaml (5093 images) to train, test.yaml (8334) to evaluate. The
# pipelines are those of hituav.py, for larger images.

_base_ = './hituav.py'

dataset_type = 'BoschTrafficLightsDataset'
data_root = 'data/bstld/'
img_scale = (1280, 1280)  # px, (width, height) that the network is given

images = dict(type=dataset_type, data_root=data_root)
train_dataset = _base_.train_dataloader.dataset
train_dataset.dataset.dataset.update(images, ann_file='train.yaml')
train_dataset.dataset.pipeline[0].img_scale = img_scale  # SmallObjectMosaic
train_dataset.dataset.pipeline[1].img_scale = img_scale  # MosaicAffine
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = img_scale  # Resize

train_dataloader = dict(dataset=train_dataset)
val_dataloader = dict(dataset=dict(images, ann_file='test.yaml', pipeline=test_pipeline))
test_dataloader = val_dataloader
