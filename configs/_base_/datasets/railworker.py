# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Rail workers (vest, helmet, worker) or any other set in YOLO layout; the pipelines are those of
# hituav.py.

_base_ = './hituav.py'

dataset_type = 'YOLOFolderDataset'
data_root = 'data/rail_worker/'

labels = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='',  # or 'data.yaml', whose classes are then used
)
train_dataloader = dict(dataset=dict(dataset=dict(dataset=dict(labels, split='train'))))
val_dataloader = dict(dataset=dict(labels, split='val'))
test_dataloader = val_dataloader
