# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What is said before the first step."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.hooks import LoggerHook
from mmengine.optim import LinearLR
from tiny import NoisyImages, build_runner, loader
from torch.utils.data import DataLoader

from smallobj_mm.engine.hooks import TrainingChecksHook
from smallobj_mm.engine.hooks.training_checks import check_batches
from smallobj_mm.utils.errors import UserError


class Broken(NoisyImages):
    """Its pipeline does not take what the config gave it."""

    def __getitem__(self, index: int) -> dict:
        raise TypeError('Scale must be a number or tuple of int, but got list')


def said(runner: Any, capsys: pytest.CaptureFixture, **options: Any) -> str:
    """What the hook writes before training."""
    runner.logger.setLevel('INFO')
    for handler in runner.logger.handlers:
        handler.setLevel('INFO')
    runner.register_hook(TrainingChecksHook(**options))
    capsys.readouterr()
    runner.train()
    log = next(Path(runner.work_dir).glob('*/*.log')).read_text()
    return log


def test_the_validation_pipeline_is_tried(tmp_path: Path) -> None:
    runner = build_runner(tmp_path)
    runner._val_dataloader = dict(loader(shuffle=False), dataset=Broken())
    runner._val_loop['dataloader'] = runner._val_dataloader
    runner.register_hook(TrainingChecksHook())
    with pytest.raises(UserError, match='val_dataloader: its first image .*TypeError: Scale must'):
        runner.train()
    assert runner.iter == 0


def test_short_schedules(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """16 images in batches of 4: 4 steps an epoch, and half as many with accumulation."""
    runner = build_runner(tmp_path / 'a', max_epochs=2, validate=False)
    text = said(runner, capsys)
    assert 'schedule: 8 steps of the optimizer (4 batches an epoch), less than the 1000' in text
    assert 'train_cfg.max_epochs=250' in text and 'load_from' in text
    runner = build_runner(tmp_path / 'b', max_epochs=2, validate=False, accumulative_counts=2)
    assert 'schedule: 4 steps' in said(runner, capsys)
    runner = build_runner(tmp_path / 'c', max_epochs=2, validate=False)
    assert 'schedule:' not in said(runner, capsys, min_steps=8)
    runner = build_runner(tmp_path / 'd', max_epochs=2, validate=False)
    runner.cfg.load_from = 'x.pth'
    text = said(runner, capsys, min_finetuning_steps=9)
    assert 'less than the 9 that' in text and 'begin with trained weights' not in text


def test_a_warm_up_longer_than_the_run(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    runner = build_runner(tmp_path, max_epochs=2, validate=False)
    runner.param_schedulers = [
        dict(type=LinearLR, start_factor=0.1, by_epoch=False, begin=0, end=500),
        dict(type=LinearLR, start_factor=0.1, by_epoch=True, begin=0, end=2),
    ]
    text = said(runner, capsys)
    assert text.count('param_scheduler: ') == 1
    assert 'LinearLR warms up for 499 iterations, the run has 8' in text.replace('500', '499')


def test_the_log_of_short_epochs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    runner = build_runner(tmp_path, max_epochs=2, validate=False)
    text = said(runner, capsys)
    assert 'An epoch has 4 batches: the log gets a line every 1 instead of 50.' in text
    assert next(hook for hook in runner.hooks if isinstance(hook, LoggerHook)).interval == 1
    assert 'Epoch(train) [1][1/4]' in text and 'Epoch(train) [2][4/4]' in text


def test_fewer_images_than_a_batch() -> None:
    for count, sampler in ((4, None), (3, InfiniteSampler(range(3)))):
        check_batches(DataLoader(range(count), batch_size=4, drop_last=True, sampler=sampler))
    with pytest.raises(UserError, match='train_dataloader: 3 images make no whole batch of 4, '):
        check_batches(DataLoader(range(3), batch_size=4, drop_last=True))


@pytest.mark.parametrize('option', ['min_steps', 'min_finetuning_steps'])
def test_options(option: str) -> None:
    with pytest.raises(UserError, match=f'{option} -?.*expected 0 or more'):
        TrainingChecksHook(**{option: -1})


def test_random_numbers_stay(tmp_path: Path) -> None:
    ends = []
    for hooks in ((), (TrainingChecksHook(),)):
        torch.manual_seed(0)
        runner = build_runner(tmp_path / str(len(hooks)), max_epochs=1, hooks=hooks)
        runner.train()
        ends.append(runner.model.state_dict())
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())
