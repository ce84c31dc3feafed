# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# What every segmentation run shares: logs, checkpoints, seeds.

default_scope = 'mmseg'
custom_imports = dict(imports=['smallobj_mm'], allow_failed_imports=False)

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
        # No best checkpoint: these data sets have no validation images besides the test images,
        # and choosing by those would make the figures better than they are.
    ),
    visualization=dict(type='SegVisualizationHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0)

vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(type='IRSTDVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
log_level = 'INFO'

load_from = None
resume = False
