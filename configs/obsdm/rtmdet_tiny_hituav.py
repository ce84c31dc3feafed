# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# For comparison with obsdm_t_hituav.py: RTMDet-tiny of mmdet with every advantage that is not
# OBSDM's alone: the same crops, augmentation, regions to ignore, steps, batch, averages and
# schedule. Its own learning rate: 7e-4 is mmdet's, scaled to the batch by its root; 1.4e-3 is
# tried as well.
# python tools/train.py configs/obsdm/rtmdet_tiny_hituav.py --amp

_base_ = [
    '../_base_/datasets/hituav_native.py',
    '../_base_/schedules/adamw_flat_cosine.py',
    '../_base_/runtime/default_runtime_det.py',
]

# -------- changed often --------
max_epochs = 120
flat_epochs = max_epochs * 2 // 3  # constant rate, then a cosine
batch_size = 8  # images
train_list = 'ImageSets/Main/train.txt'
val_list = 'ImageSets/Main/val.txt'

# -------- changed sometimes --------
lr = 7e-4
warmup_iters = 500  # iterations
val_interval = 5  # epochs
plain_epochs = max_epochs // 10  # the last ones are without mosaics

# -------- never changed: the model of mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py --------
norm_cfg = dict(type='SyncBN')
act_cfg = dict(type='SiLU', inplace=True)
model = dict(
    type='RTMDet',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[103.53, 116.28, 123.675],
        std=[57.375, 57.12, 58.395],
        bgr_to_rgb=False,
        batch_augments=None,
    ),
    backbone=dict(
        type='CSPNeXt',
        arch='P5',
        expand_ratio=0.5,
        deepen_factor=0.167,
        widen_factor=0.375,
        channel_attention=True,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
    ),
    neck=dict(
        type='CSPNeXtPAFPN',
        in_channels=[96, 192, 384],
        out_channels=96,
        num_csp_blocks=1,
        expand_ratio=0.5,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
    ),
    bbox_head=dict(
        type='RTMDetSepBNHead',
        num_classes=4,
        in_channels=96,
        stacked_convs=2,
        feat_channels=96,
        anchor_generator=dict(type='MlvlPointGenerator', offset=0, strides=[8, 16, 32]),
        bbox_coder=dict(type='DistancePointBBoxCoder'),
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        with_objectness=False,
        exp_on_reg=False,
        share_conv=True,
        pred_kernel_size=1,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
    ),
    train_cfg=dict(
        assigner=dict(
            type='IgnoreRegionAssigner',
            assigner=dict(type='DynamicSoftLabelAssigner', topk=13),
        ),
        allowed_border=-1,
        pos_weight=-1,
        debug=False,
    ),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.001,
        nms=dict(type='nms', iou_threshold=0.65),
        max_per_img=300,
    ),
)

# -------- never changed: where the values above go --------
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(dataset=dict(dataset=dict(ann_file=train_list))),
)
val_dataloader = dict(dataset=dict(ann_file=val_list))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=max_epochs, val_interval=val_interval)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=warmup_iters),
    dict(
        type='CosineAnnealingLR',
        begin=flat_epochs,
        end=max_epochs,
        T_max=max_epochs - flat_epochs,
        eta_min_ratio=0.05,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
custom_hooks = [
    dict(
        type='StepEMAHook',
        ema_type='ExpMomentumEMA',  # decay after t steps = (1 - momentum) (1 - exp(-t / gamma))
        momentum=0.0005,  # decay 0.9995
        gamma=1000,  # steps of ramp
        update_buffers=True,  # BN statistics are averaged too
        priority=49,
    ),
    dict(type='ChannelsLastHook'),
    dict(
        type='YOLOXModeSwitchHook',
        num_last_epochs=plain_epochs,
        skip_type_keys=('SmallObjectMosaic', 'MosaicAffine'),
    ),
]
default_hooks = dict(checkpoint=dict(save_best=None))  # the last weights count
