# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Synthetic small objects: made below data_root at first use, 200 images to train, 50 to evaluate.

_base_ = './hituav.py'  # pipelines and loaders

dataset_type = 'SyntheticSmallObjectDataset'
data_root = 'data/synthetic_det/'
img_scale = (256, 256)  # px, (width, height) that the network is given
# Both splits are made with these: other values make the folder anew.
synthetic = dict(
    num_images=250,  # both splits together
    val_fraction=0.2,
    image_size=256,  # px
    seed=0,
    style='shapes',  # disk, square, triangle; or 'infrared': target
)

images = dict(type=dataset_type, data_root=data_root, **synthetic)
train_dataset = _base_.train_dataloader.dataset
train_dataset.dataset.dataset.update(images)
train_dataset.dataset.pipeline[0].img_scale = img_scale  # SmallObjectMosaic
# scale 0.5: factor 0.5 to 1.5
train_dataset.dataset.pipeline[1].update(img_scale=img_scale, scale=0.5)  # MosaicAffine
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = img_scale  # Resize

train_dataloader = dict(num_workers=2, dataset=train_dataset)
val_dataloader = dict(num_workers=2, dataset=dict(images, pipeline=test_pipeline))
test_dataloader = val_dataloader
