# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# NUDT-SIRST for long runs: gray crops at native size, targets of its other images pasted in, which
# is how NUDT-SIRST itself was made; validated on held-out training images.

_base_ = './nuaa_sirst_paste.py'

data_root = 'data/NUDT-SIRST'
splits = '{{ fileDirname }}/splits'  # 60 of the 663 training images are held out
crop_size = 128  # px

source = dict(
    _base_.source,
    data_root=data_root,
    split=f'{splits}/nudt_sirst_train.txt',
    pipeline=[_base_.load, dict(type='TargetAwareCrop', size=crop_size, prob=0.85)],
)
train_pipeline = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomRot90', prob=0.75),
    dict(
        type='TargetCopyPaste',
        sources=[source],
        num_targets=(1, 3),
        prob=0.3,
        scale=(0.75, 1.3),
        snr=(3.0, 8.0),
    ),
    dict(type='RandomIRIntensity', gain=(0.6, 1.5), prob=0.4),
    dict(type='RepeatGrey'),
    dict(type='LabelDecoupling', mode='exact'),
    dict(type='PackIRSTDInputs'),
]
train_dataloader = dict(dataset=dict(datasets=[source], pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, split=f'{splits}/nudt_sirst_holdout.txt'))
test_dataloader = val_dataloader
