# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# NUDT-SIRST for long runs: gray crops, targets of its other images pasted in, as in
# nuaa_sirst_paste.py; validated on held-out training images.

_base_ = './nuaa_sirst_paste.py'

data_root = 'data/NUDT-SIRST'
splits = '{{ fileDirname }}/splits'  # 60 of the 663 training images are held out

source = dict(
    _base_.source,
    data_root=data_root,
    split=f'{splits}/nudt_sirst_train.txt',
)
train_pipeline = _base_.train_pipeline
train_pipeline[3].sources = [source]  # TargetCopyPaste
train_dataloader = dict(dataset=dict(datasets=[source], pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, split=f'{splits}/nudt_sirst_holdout.txt'))
test_dataloader = val_dataloader
