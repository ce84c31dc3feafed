# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The small OBSDM on your own boxes: COCO JSON, Pascal VOC or YOLO folders, as Roboflow, CVAT,
# labelme2coco and others export them.
# python tools/train.py configs/obsdm/obsdm_t_custom.py --cfg-options data_root=FOLDER
# tools/analysis_tools/dataset_doctor.py FOLDER says what to change for your objects.

_base_ = [
    '../_base_/models/obsdm_t.py',
    '../_base_/datasets/custom_boxes.py',
    '../_base_/schedules/adamw_flat_cosine_iters.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
data_root = 'data/mine/'
train_file = ''  # below data_root: a COCO file, a list of VOC, ...; '': what is there
val_file = ''
# Names; None: those of the files. The number of classes of the model follows.
classes = None
max_iters = 1500  # iterations; dataset_doctor.py says how many suit your set
flat_iters = max_iters // 2  # constant rate, then a cosine
batch_size = 8  # images
zoom = 1.0  # of the images in validation; more for objects of a few pixels
# A model that ships, or a checkpoint of obsdm_t_*.py; heads of other classes begin anew. None:
# everything does, and needs ten times the iterations.
load_from = 'obsdm_t_hituav'

# -------- changed sometimes --------
lr = 1e-3
warmup_iters = 100  # iterations
val_interval = 500  # iterations
num_workers = 2

# -------- never changed: where the values above go --------
train_set = dict(data_root=data_root, ann_file=train_file, metainfo=dict(classes=classes))
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(dataset=train_set),
)
val_dataloader = dict(
    num_workers=num_workers,
    dataset=dict(
        data_root=data_root,
        ann_file=val_file,
        metainfo=dict(classes=classes),
        pipeline=[
            dict(type='LoadImageStrict', high_bit_depth='scale'),
            dict(type='Resize', scale_factor=zoom),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                type='PackDetInputs',
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
            ),
        ],
    ),
)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = warmup_iters
param_scheduler[1].update(begin=flat_iters, end=max_iters, T_max=max_iters - flat_iters)
model = dict(bbox_head=dict(num_classes=1))  # becomes the number of classes of the data
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=val_interval, save_best=None),
)
