# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# What every self-supervised run shares: logs, checkpoints, seeds.

default_scope = 'mmpretrain'
custom_imports = dict(imports=['smallobj_mm'], allow_failed_imports=False)
sync_bn = 'torch'  # of all processes' batches; off by itself where there is no GPU

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),  # iterations; the console shows the time left
    param_scheduler=dict(type='ParamSchedulerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    random_state=dict(type='RandomStateHook'),
    nan_guard=dict(type='NaNGuardHook'),
    checkpoint=dict(
        type='SafeCheckpointHook',
        interval=1,  # epochs
        max_keep_ckpts=1,
        save_last=True,
    ),
)

env_cfg = dict(
    cudnn_benchmark=True,  # all views have one size
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0)

vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(type='UniversalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
log_level = 'INFO'

load_from = None
resume = False
