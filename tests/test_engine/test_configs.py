# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The shipped schedule and runtime, and the logs they make."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from tiny import ROOT, TinyModel, loader

import smallobj_mm.engine  # noqa: F401
from smallobj_mm.registry import (
    HOOKS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    PARAM_SCHEDULERS,
    VISUALIZERS,
)


@pytest.fixture
def cfg(tmp_path: Path) -> Config:
    """Both files together, as a leaf config takes them."""
    leaf = tmp_path / 'leaf.py'
    base = ROOT / 'configs' / '_base_'
    leaf.write_text(
        f'_base_ = [{str(base / "schedules/obsdm_300e.py")!r}, '
        f'{str(base / "runtime/default_runtime_det.py")!r}]\n'
    )
    return Config.fromfile(leaf, import_custom_modules=False)


def test_names_resolve_from_mmdet(cfg: Config) -> None:
    """Every type of the two files is found in mmdet's scope."""
    pytest.importorskip('mmdet.registry')
    assert cfg.default_scope == 'mmdet'
    wanted = [
        (HOOKS, [hook.type for hook in [*cfg.default_hooks.values(), *cfg.custom_hooks]]),
        (PARAM_SCHEDULERS, [scheduler.type for scheduler in cfg.param_scheduler]),
        (OPTIM_WRAPPERS, [cfg.optim_wrapper.type]),
        (OPTIM_WRAPPER_CONSTRUCTORS, [cfg.optim_wrapper.constructor]),
        (VISUALIZERS, [cfg.visualizer.type]),
        (MODELS, [cfg.custom_hooks[1].ema_type]),
    ]
    for root, names in wanted:
        with root.switch_scope_and_registry('mmdet') as registry:
            assert [name for name in names if registry.get(name) is None] == []


def test_recipe_numbers(cfg: Config) -> None:
    """The paper's recipe is what the file says."""
    assert cfg.train_cfg.max_epochs == 300
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.01, momentum=0.937, nesterov=True, weight_decay=5e-4
    )
    ema = cfg.custom_hooks[1]
    assert (ema.momentum, ema.gamma, ema.update_buffers) == (0.0001, 2000, True)
    assert 'auto_scale_lr' not in cfg  # the rate does not depend on the batch size


def test_logs(cfg: Config, tmp_path: Path) -> None:
    """The time left on the console and in the log file; events for TensorBoard."""
    pytest.importorskip('mmdet.visualization')
    pytest.importorskip('torch.utils.tensorboard')
    cfg.train_cfg.update(max_epochs=1)
    cfg.visualizer.name = str(tmp_path)  # visualizers of one name are one object
    cfg.default_hooks.logger.interval = 2
    cfg.default_hooks.pop('visualization')
    cfg.default_hooks.checkpoint.save_best = None
    runner = Runner(
        model=TinyModel(),
        work_dir=str(tmp_path / 'work'),
        train_dataloader=loader(),
        train_cfg=cfg.train_cfg,
        optim_wrapper=cfg.optim_wrapper,
        param_scheduler=cfg.param_scheduler,
        default_hooks=cfg.default_hooks,
        custom_hooks=cfg.custom_hooks,
        visualizer=cfg.visualizer,
        randomness=cfg.randomness,
        log_processor=cfg.log_processor,
        default_scope='mmdet',
        experiment_name='test_logs',
    )
    runner.train()
    log = next((tmp_path / 'work').glob('*/*.log')).read_text()
    assert 'Epoch(train) [1][2/4]' in log and 'eta: ' in log and 'loss_square: ' in log
    assert list((tmp_path / 'work').rglob('events.out.tfevents.*'))
    assert list((tmp_path / 'work').rglob('scalars.json'))
