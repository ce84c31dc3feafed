# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""NaN guard, random state and safe checkpoints."""

import os
import random
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.hooks import EMAHook, Hook
from tiny import TinyModel, build_runner

from smallobj_mm.checkpoints import load_plain
from smallobj_mm.engine.hooks import ChannelsLastHook, NaNGuardHook
from smallobj_mm.engine.hooks.nan_guard import image_names
from smallobj_mm.engine.hooks.random_state import get_random_state, set_random_state
from smallobj_mm.engine.hooks.safe_checkpoint import remove_left_overs
from smallobj_mm.utils.errors import UserError


class Poison(Hook):
    """Makes a weight NaN after an epoch, as an overflowing gradient would."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def after_train_epoch(self, runner: Any) -> None:
        if runner.epoch == self.epoch:
            runner.model.linear.bias.data.fill_(float('nan'))


def checkpoints(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.glob('*.pth'))


def test_nan_stops_the_run(tmp_path: Path) -> None:
    """One line with iteration, terms and images; weights and checkpoints stay good."""
    model = TinyModel(poison_at=6)
    runner = build_runner(tmp_path, model=model, validate=False)
    with pytest.raises(UserError) as caught:
        runner.train()
    message = str(caught.value)
    assert 'epoch 2, iteration 6: the loss is not finite' in message and '\n' not in message
    assert 'loss_square=nan' in message and 'loss_abs=' in message
    assert message.count('image_') == 4 and '.png' in message
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert checkpoints(tmp_path) == ['epoch_1.pth']


def test_nan_after_the_step(tmp_path: Path) -> None:
    """A model of its own kind, without parse_losses, is checked too."""
    guard = NaNGuardHook()
    runner = build_runner(tmp_path, validate=False)
    guard.before_train_iter(runner, 0, None)
    with pytest.raises(UserError, match='iteration 1: .*loss=nan'):
        guard.after_train_iter(runner, 0, None, dict(loss=torch.tensor(float('nan'))))


def test_nan_interval() -> None:
    with pytest.raises(ValueError, match='interval is 0'):
        NaNGuardHook(interval=0)


def test_guard_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    runner = build_runner(tmp_path, max_epochs=1, validate=False)
    runner.train()
    assert 'parse_losses' not in vars(runner.model)


def test_poisoned_weights_are_not_saved(tmp_path: Path) -> None:
    """The loss was finite, the weights are not: the last good checkpoint stays."""
    runner = build_runner(tmp_path, validate=False, hooks=(Poison(1),))
    with pytest.raises(UserError, match='linear.bias.*no checkpoint is written'):
        runner.train()
    assert checkpoints(tmp_path) == ['epoch_1.pth']
    assert Path((tmp_path / 'last_checkpoint').read_text()).name == 'epoch_1.pth'


class PoisonAverage(Hook):
    """Makes a weight of the average NaN, as an infinite weight of one step would."""

    def after_train_epoch(self, runner: Any) -> None:
        if runner.epoch == 1:
            ema = next(hook for hook in runner.hooks if isinstance(hook, EMAHook))
            ema.ema_model.module.linear.bias.data.fill_(float('nan'))


@pytest.mark.parametrize('kind', ['EMAHook', 'StepEMAHook'])
def test_poisoned_averages_are_not_saved(kind: str, tmp_path: Path) -> None:
    """The averages get into the checkpoint by a hook, which runs before the guard."""
    runner = build_runner(
        tmp_path, validate=False, hooks=(PoisonAverage(),), averaging=dict(type=kind)
    )
    with pytest.raises(UserError, match='state_dict: .*linear.bias.*no checkpoint is written'):
        runner.train()
    assert checkpoints(tmp_path) == ['epoch_1.pth']
    saved = load_plain(tmp_path / 'epoch_1.pth')
    for part in ('state_dict', 'ema_state_dict'):
        assert all(torch.isfinite(value).all() for value in saved[part].values())


@pytest.mark.parametrize('batch', [None, [torch.zeros(1)], dict(inputs=1), dict(data_samples=[])])
def test_image_names_of_any_batch(batch: Any) -> None:
    assert image_names(batch) == ['(the batch does not name them)']


def test_random_state_round_trip(tmp_path: Path) -> None:
    """Through a file that is read as plain data."""

    def draw() -> list:
        return [
            random.random(),
            random.gauss(0, 1),
            np.random.rand(),
            np.random.randn(),
            torch.rand(1).item(),
        ]

    random.gauss(0, 1)
    np.random.randn()
    torch.save(get_random_state(), tmp_path / 'state.pth')
    first = draw()
    set_random_state(load_plain(tmp_path / 'state.pth'))
    assert draw() == first


def test_checkpoint_is_plain_and_complete(tmp_path: Path) -> None:
    """All that resuming needs, readable without unpickling objects; last and best are kept."""
    build_runner(tmp_path, max_epochs=3).train()
    names = checkpoints(tmp_path)
    assert len(names) == 2 and names[1] == 'epoch_3.pth'
    assert names[0].startswith('best_tiny_score_epoch_')
    loaded = load_plain(tmp_path / 'epoch_3.pth')
    assert {
        'state_dict',
        'ema_state_dict',
        'optimizer',
        'param_schedulers',
        'message_hub',
        'random_state',
        'meta',
    } <= loaded.keys()
    assert loaded['meta']['epoch'] == 3
    assert loaded['message_hub']['runtime_info']['best_ckpt'] == str(tmp_path / names[0])


def test_seed_of_the_sampler_resumes(tmp_path: Path) -> None:
    """Without a seed in the config a new process would shuffle otherwise."""
    first = build_runner(tmp_path, max_epochs=1, seed=None, validate=False)
    first.train()
    second = build_runner(tmp_path, max_epochs=2, seed=None, resume=True, validate=False)
    second.train()
    assert second.train_dataloader.sampler.seed == first.train_dataloader.sampler.seed
    assert second.seed == first.seed


@pytest.mark.parametrize('fails_at', ['epoch_2.pth', 'last_checkpoint', 'best_'])
def test_failing_write_keeps_the_last(fails_at: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Whichever file cannot take its place, the pointer names a complete checkpoint."""
    replace = os.replace

    def failing(source: Any, target: Any) -> None:
        name = Path(target).name
        second = (tmp_path / 'epoch_2.pth').exists() or name == 'epoch_2.pth'
        if second and name.startswith(fails_at):
            raise OSError(28, 'No space left on device')
        replace(source, target)

    runner = build_runner(tmp_path, max_epochs=2)
    # The score of the first epoch must be beaten for a second best checkpoint.
    scores = iter((0.1, 0.2))
    monkeypatch.setattr('tiny.TinyMetric.compute_metrics', lambda *_: dict(score=next(scores)))
    monkeypatch.setattr(os, 'replace', failing)
    with pytest.raises(UserError, match=f'{fails_at}.*No space left'):
        runner.train()
    last = Path((tmp_path / 'last_checkpoint').read_text())
    best = load_plain(last)['message_hub']['runtime_info'].get('best_ckpt')
    assert best is None or Path(best).exists()
    assert not list(tmp_path.glob('.*.tmp'))


def test_a_full_disk(tmp_path: Path) -> None:
    """A limit of the size of files stands for it: one line, and the last checkpoint stays."""
    build_runner(tmp_path, max_epochs=1, validate=False).train()
    whole = (tmp_path / 'epoch_1.pth').read_bytes()
    runner = build_runner(tmp_path, max_epochs=2, validate=False, resume=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(UserError, match='epoch_2.pth: cannot be written .File too large'):
            runner.train()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert checkpoints(tmp_path) == ['epoch_1.pth'] and not list(tmp_path.glob('.*.tmp'))
    assert (tmp_path / 'epoch_1.pth').read_bytes() == whole
    assert Path((tmp_path / 'last_checkpoint').read_text()).name == 'epoch_1.pth'


def test_left_overs(tmp_path: Path) -> None:
    """Only what a killed writer leaves is removed."""
    gone = ['.epoch_3.pth.12.ab12cd34.tmp', '.last_checkpoint.7.00ff00ff.tmp']
    kept = ['epoch_3.pth', '.notes.tmp', 'x.pth.12.ab12cd34.tmp', '.events.12.ab12cd34.tmp']
    for name in gone + kept:
        (tmp_path / name).touch()
    assert sorted(remove_left_overs(str(tmp_path))) == sorted(gone)
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(kept)
    assert remove_left_overs(str(tmp_path / 'missing')) == []


def test_channels_last(tmp_path: Path) -> None:
    """Weights are laid out anew and keep their values; so are the averages made from them."""

    class Convolution(TinyModel):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3)

    model = Convolution()
    before = model.conv.weight.detach().clone()
    runner = build_runner(tmp_path, model=model, validate=False)
    ChannelsLastHook().before_run(runner)
    weight = runner.model.conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not before.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(weight, before)
