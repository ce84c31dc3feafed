# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# DetSim on ImageNet-100, as published.
# tools/dist_train.sh configs/detsim/detsim_r18_imagenet100.py 8

_base_ = [
    '../_base_/models/detsim_r18.py',
    '../_base_/datasets/ssl_views_224.py',
    '../_base_/schedules/detsim_100e.py',
    '../_base_/runtime/default_runtime_ssl.py',
]

# -------- changed often --------
data_root = 'data/imagenet'  # holds train/CLASS/*.JPEG and val/CLASS/*.JPEG
class_list = 'imagenet100.txt'  # below data_root: 100 names of class folders, one a line
max_epochs = 100
batch_size = 128  # images a process; the learning rate follows the total

# -------- changed sometimes --------
knn_interval = 10  # epochs between nearest-neighbor accuracies
eval_pipeline = [
    dict(type='LoadImageStrict', high_bit_depth='scale'),
    dict(type='ResizeEdge', scale=256, edge='short'),  # px
    dict(type='CenterCrop', crop_size=224),  # px
    dict(type='PackInputs'),
]

# -------- never changed: where the values above go --------
dataset = dict(type='ImageTreeDataset', data_root=data_root, class_list=class_list)
eval_loader = dict(batch_size=256, num_workers=8, persistent_workers=False)
train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(batch_size=batch_size, dataset=dict(**dataset, image_folder='train'))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='FixedLRHook'),
    dict(type='FeatureSpreadHook', interval=50),
    dict(
        type='KNNAccuracyHook',
        interval=knn_interval,
        bank_dataloader=dict(
            **eval_loader,
            dataset=dict(**dataset, image_folder='train', with_label=True, pipeline=eval_pipeline),
        ),
        query_dataloader=dict(
            **eval_loader,
            dataset=dict(**dataset, image_folder='val', with_label=True, pipeline=eval_pipeline),
        ),
    ),
]
