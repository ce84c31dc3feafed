# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# OBSDM on your own boxes in COCO JSON, as COCO, Roboflow, CVAT or labelme2coco lay it out.
# python tools/train.py configs/obsdm/obsdm_r18_coco.py --cfg-options data_root=FOLDER
# tools/analysis_tools/dataset_doctor.py FOLDER says what to change for your objects.

_base_ = [
    '../_base_/models/obsdm_r18.py',
    '../_base_/datasets/coco_json.py',
    '../_base_/schedules/adamw_short.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
data_root = 'data/mine/'
train_file = ''  # a COCO file below data_root; '': found by the layout of the folder
val_file = ''
# Names; None: those of the training file. The number of classes of the model follows.
classes = None
max_epochs = 20
batch_size = 8  # images

# -------- changed sometimes --------
lr = 1e-3
val_interval = 5  # epochs
num_workers = 2
norm_cfg = dict(momentum=0.1)  # 0.03 follows weights that change fast too slowly
obj_gain = 7.0  # ten times the recipe's: the objectness must rise within some hundred steps
base_sizes = [  # (w, h) in px; for your objects: tools/analysis_tools/fit_anchors.py
    [(8, 16), (11, 19), (17, 17)],
    [(15, 26), (22, 29), (40, 26)],
    [(65, 38), (43, 62), (86, 84)],
]

# -------- never changed: where the values above go --------
train_set = dict(data_root=data_root, ann_file=train_file, metainfo=dict(classes=classes))
val_set = dict(data_root=data_root, ann_file=val_file, metainfo=dict(classes=classes))
train_dataloader = dict(
    batch_size=batch_size, num_workers=num_workers, dataset=dict(dataset=train_set)
)
val_dataloader = dict(num_workers=num_workers, dataset=val_set)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=max_epochs, val_interval=val_interval)
optim_wrapper = dict(optimizer=dict(lr=lr))
model = dict(
    backbone=dict(norm_cfg=norm_cfg),
    neck=dict(norm_cfg=norm_cfg),
    bbox_head=dict(
        num_classes=1,  # becomes the number of classes of the data
        obj_gain=obj_gain,
        head_module=dict(norm_cfg=norm_cfg),
        prior_generator=dict(base_sizes=base_sizes),
    ),
)
