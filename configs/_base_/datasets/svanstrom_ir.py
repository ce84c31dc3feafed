# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Thermal video frames with drones, birds, airplanes and helicopters (Svanstrom et al., Data in
# Brief, 2021; CC0), 320x256 px, split by video. Given to the network at twice their size: most
# objects are below 16x16 px, and the images are small. Mosaics and noise are those of
# hituav_native.py.

_base_ = './hituav_native.py'

dataset_type = 'CocoBoxDataset'
data_root = 'data/svanstrom_ir/'
metainfo = dict(classes=('airplane', 'bird', 'drone', 'helicopter'))
zoom = 2.0  # of the images
crop_size = (320, 320)  # px, of the training images

images = dict(type=dataset_type, data_root=data_root, metainfo=metainfo)
train_dataset = _base_.train_dataloader.dataset
train_dataset.dataset = dict(
    **images,
    ann_file='train.json',
    img_dir='train',
    pipeline=[
        dict(type='LoadImageStrict'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(
            type='RandomResize',
            scale=(640, 512),  # px, twice the images' own size
            ratio_range=(0.75, 1.5),
            keep_ratio=True,
        ),
        dict(type='ObjectCenteredCrop', crop_size=crop_size, prob=0.7, min_area_ratio=0.4),
    ],
)
train_dataset.pipeline[0].img_scale = crop_size  # SmallObjectMosaic
train_dataset.pipeline[1].img_scale = crop_size  # MosaicAffine
train_dataloader = dict(dataset=dict(_delete_=True, **train_dataset))
test_pipeline = _base_.val_dataloader.dataset.pipeline
test_pipeline[1].scale_factor = zoom  # Resize
val_dataloader = dict(
    dataset=dict(images, ann_file='val.json', img_dir='val', pipeline=test_pipeline)
)
test_dataloader = val_dataloader
