# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# OBSDM on rail workers (vest, helmet, worker), or any data set in YOLO folders, at 640 px.
# Another data set: change data_root; its classes are those of its data.yaml (or classes.txt).

_base_ = [
    '../_base_/models/obsdm_r18.py',
    '../_base_/datasets/railworker.py',
    '../_base_/schedules/obsdm_300e.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
data_root = 'data/rail_worker/'
ann_file = ''  # or 'data.yaml'; '' takes the folders below data_root
# Names in the order of their numbers in the label files; None: those that a data.yaml names, else
# vest, helmet, worker. The number of classes of the model follows.
classes = None
batch_size = 8  # images per GPU; the recipe has 8 GPUs, 64 images in all
num_workers = 4  # loader processes per GPU
max_epochs = 300
pretrained = None  # self-supervised checkpoint of the backbone; None: random weights

# -------- changed sometimes --------
val_interval = 10  # epochs
accumulative_counts = 1  # batches to a step; batch_size x GPUs x this = 64 keeps the recipe

# -------- never changed: where the values above go --------
labels = dict(data_root=data_root, ann_file=ann_file, metainfo=dict(classes=classes))
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(dataset=dict(dataset=labels)),
)
val_dataloader = dict(num_workers=num_workers, dataset=labels)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=max_epochs, val_interval=val_interval)
optim_wrapper = dict(accumulative_counts=accumulative_counts)
model = dict(
    backbone=dict(init_cfg=dict(checkpoint=pretrained)),
    bbox_head=dict(num_classes=3),
)
