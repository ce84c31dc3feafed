# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Config of the toy task."""

custom_imports = dict(imports=['toy_task'], allow_failed_imports=False)
default_scope = 'mmdet'
randomness = dict(seed=0)
model = dict(type='ToyModel', norm_cfg=dict(type='SyncBN'))
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='ToyDataset', length=8),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ToyDataset', length=7),  # odd: two processes cannot share it evenly
)
test_dataloader = val_dataloader
val_evaluator = dict(type='CountMetric')
test_evaluator = val_evaluator
train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.05))
auto_scale_lr = dict(base_batch_size=2, enable=False)
custom_hooks = [dict(type='WitnessHook')]
