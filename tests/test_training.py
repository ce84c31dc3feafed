# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Both systems learn: shipped configs through the runner of tools/train.py, end to end."""

import json

import pytest

from smallobj_mm.checkpoints.reading import load_plain
from smallobj_mm.engine.runner import build_runner
from smallobj_mm.utils.configs import read_config

SIZE = 96  # px
CHANNELS = [16, 32, 64]
EPOCHS = 60


def history(work_dir) -> list[dict]:
    """What a run logged."""
    return [json.loads(line) for line in next(work_dir.rglob('scalars.json')).open()]


@pytest.fixture
def detection_cfg(repo_root, tmp_path):
    """The demo's config on four small images, learnt by heart: no augmentation."""
    cfg = read_config(repo_root / 'configs/obsdm/obsdm_r18_demo.py')
    cfg.launcher = 'none'
    cfg.work_dir = str(tmp_path / 'work')
    # mmengine keeps visualizers by name: another test's would go on writing to its own folder.
    cfg.visualizer.name = str(tmp_path)
    data = dict(
        type='SyntheticSmallObjectDataset',
        data_root=str(tmp_path / 'data'),
        num_images=8,
        val_fraction=0.5,
        image_size=SIZE,
        object_size=(10, 24),
        max_objects=3,
        seed=0,
        ann_file='ImageSets/Main/train.txt',
    )
    load = [dict(type='LoadImageStrict'), dict(type='LoadAnnotations', with_bbox=True)]
    meta = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
    loader = dict(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.update(loader)
    cfg.train_dataloader.dataset = dict(**data, pipeline=[*load, dict(type='PackDetInputs')])
    cfg.val_dataloader.update(loader)
    cfg.val_dataloader.dataset = dict(
        **data,
        test_mode=True,
        pipeline=[
            load[0],
            dict(type='Resize', scale=(SIZE, SIZE), keep_ratio=True),
            load[1],
            dict(type='PackDetInputs', meta_keys=meta),
        ],
    )
    cfg.test_dataloader = cfg.val_dataloader
    # Evaluated after the first epoch and after the last.
    cfg.train_cfg.update(max_epochs=EPOCHS, val_interval=1, dynamic_intervals=[(3, EPOCHS)])
    cfg.default_hooks.checkpoint.interval = EPOCHS
    cfg.default_hooks.logger.interval = 2
    cfg.log_processor.window_size = 2
    # A run of 120 steps: the average follows the weights quickly.
    ema = next(hook for hook in cfg.custom_hooks if hook.type == 'StepEMAHook')
    ema.update(momentum=0.05, gamma=5)
    cfg.param_scheduler[0].min_warmup_iters = 5
    cfg.model.neck.widen_factor = 0.125
    cfg.model.bbox_head.head_module.in_channels = CHANNELS
    return cfg


def test_detector_overfits_a_few_images(detection_cfg, tmp_path):
    """The loss falls, and objects that were not found are found."""
    build_runner(detection_cfg).train()
    log = history(tmp_path / 'work')
    losses = [entry['loss'] for entry in log if 'loss' in entry]
    before, after = [entry for entry in log if 'smallobj/AP50' in entry]
    assert len(losses) == EPOCHS
    assert sum(losses[-4:]) < 0.75 * sum(losses[:4])
    assert before['smallobj/AP50'] < 0.1
    assert after['smallobj/AP50'] > 0.4
    assert after['smallobj/AP50_voc'] > 0.4
    # The best checkpoint is the averaged model, and it is there to be loaded.
    best = list((tmp_path / 'work').glob('best_smallobj_AP50_epoch_*.pth'))
    assert len(best) == 1
    state = load_plain(best[0])['state_dict']
    assert all(v.isfinite().all() for v in state.values() if v.is_floating_point())


@pytest.fixture
def segmentation_cfg(repo_root, tmp_path):
    """The demo's config on six images, validated on them."""
    cfg = read_config(repo_root / 'configs/ismallnet/ismallnet_demo.py')
    cfg.launcher = 'none'
    cfg.work_dir = str(tmp_path / 'work')
    cfg.visualizer.name = str(tmp_path)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(batch_size=3, num_workers=0, persistent_workers=False)
        loader.dataset.update(
            data_root=str(tmp_path / 'data'),
            num_images=7,
            test_fraction=0.1,
            image_size=64,
            target_size=(4, 8),
            max_targets=2,
            split='train',
        )
    cfg.train_dataloader.collate_fn.sizes = [48, 64]
    cfg.test_dataloader = cfg.val_dataloader
    cfg.train_cfg.update(max_epochs=40, val_interval=1, dynamic_intervals=[(3, 40)])
    cfg.default_hooks.checkpoint.interval = 40
    cfg.default_hooks.logger.interval = 2
    cfg.log_processor.window_size = 2
    return cfg


def test_segmentor_overfits_a_few_images(segmentation_cfg, tmp_path):
    """The loss falls, and targets that were not found are found."""
    build_runner(segmentation_cfg).train()
    log = history(tmp_path / 'work')
    losses = [entry['loss'] for entry in log if 'loss' in entry]
    evaluated = [entry for entry in log if 'irstd/IoU' in entry]
    assert sum(losses[-4:]) < 0.75 * sum(losses[:4])
    assert evaluated[0]['irstd/IoU'] < 0.2
    assert evaluated[-1]['irstd/IoU'] > 0.4
    assert evaluated[-1]['irstd/Pd'] > 0.6
