# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints that training cannot go on from are one line before anything is taken over."""

import copy
import shutil
from pathlib import Path
from typing import Any, Callable

import pytest
import torch
from tiny import TinyModel, build_runner

from smallobj_mm.checkpoints import load_plain, use_safe_loader
from smallobj_mm.engine.hooks import TrainingChecksHook
from smallobj_mm.engine.resuming import latest_checkpoint
from smallobj_mm.utils.errors import UserError


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work-dir of a run of one epoch."""
    use_safe_loader()
    folder = tmp_path_factory.mktemp('trained')
    build_runner(folder, max_epochs=1, validate=False).train()
    return folder


def drop(*names: str) -> Callable[[dict], Any]:
    return lambda checkpoint: [checkpoint.pop(name) for name in names]


def broken_state(key: str, value: Any) -> Callable[[dict], Any]:
    return lambda checkpoint: checkpoint['random_state'].update({key: value})


def cut_group(checkpoint: dict) -> None:
    checkpoint['optimizer']['param_groups'][0]['params'].pop()


def other_kind(checkpoint: dict) -> None:
    for group in checkpoint['optimizer']['param_groups']:
        group['betas'] = group.pop('momentum')


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (drop('meta'), 'holds no meta.epoch and meta.iter, expected .*load_from='),
        (lambda c: c['meta'].pop('iter'), 'holds no meta.epoch and meta.iter'),
        (lambda c: c.update(meta=[1]), 'holds no meta.epoch and meta.iter'),
        (lambda c: c['meta'].update(epoch='one'), 'holds no meta.epoch and meta.iter'),
        (drop('optimizer', 'message_hub'), 'holds no optimizer and message_hub'),
        (drop('state_dict', 'ema_state_dict'), 'holds no weights'),
        (lambda c: c['state_dict'].pop('norm.bias'), '1 weights are missing .first: norm.bias'),
        (cut_group, 'its optimizer has .* expected .* as of optim_wrapper'),
        (other_kind, r'its optimizer has .*betas.* expected .*momentum'),
        (lambda c: c['optimizer'].update(param_groups=7), 'its optimizer is damaged'),
        (lambda c: c.update(random_state=7), 'its random_state is damaged'),
        (broken_state('torch', torch.zeros(3)), 'its random_state is damaged .*RuntimeError|Type'),
        (broken_state('python', {}), 'its random_state is damaged .KeyError'),
        (broken_state('numpy', None), 'its random_state is damaged'),
        (broken_state('sampler_seed', 'x'), 'its random_state is damaged .*sampler_seed'),
    ],
)
def test_what_cannot_be_resumed(
    change: Callable[[dict], Any], said: str, trained: Path, tmp_path: Path
) -> None:
    checkpoint = copy.deepcopy(load_plain(trained / 'epoch_1.pth'))
    change(checkpoint)
    torch.save(checkpoint, tmp_path / 'bad.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'bad.pth'))
    model = TinyModel()
    before = copy.deepcopy(model.state_dict())
    runner = build_runner(tmp_path, max_epochs=2, validate=False, resume=True, model=model)
    runner.register_hook(TrainingChecksHook(resume_from='bad.pth'))
    with pytest.raises(UserError, match=f'bad.pth: .*{said}|bad.pth: {said}') as caught:
        runner.train()
    assert '\n' not in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_can(trained: Path, tmp_path: Path) -> None:
    """The checks are silent, and change nothing of what the run draws."""
    ends = []
    for name, hooks in (('with', (TrainingChecksHook(),)), ('without', ())):
        folder = shutil.copytree(trained, tmp_path / name)
        (folder / 'last_checkpoint').write_text(str(folder / 'epoch_1.pth'))
        runner = build_runner(folder, max_epochs=2, resume=True, hooks=hooks)
        runner.train()
        ends.append(runner.model.state_dict())
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_no_program_of_a_checkpoint_runs(trained: Path, tmp_path: Path) -> None:
    """mmengine runs ``meta.config`` as a config when it resumes."""
    checkpoint = load_plain(trained / 'epoch_1.pth')
    made = tmp_path / 'made'
    checkpoint['meta']['config'] = f'import os\nos.mkdir({str(made)!r})\n'
    torch.save(checkpoint, tmp_path / 'evil.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'evil.pth'))
    build_runner(tmp_path, max_epochs=2, validate=False, resume=True).train()
    assert not made.exists()


def test_latest_checkpoint(tmp_path: Path) -> None:
    folder, pointer = str(tmp_path), tmp_path / 'last_checkpoint'
    assert latest_checkpoint(folder) is None
    for text, said in ((b'', 'empty, expected the path'), (b'\n \n', 'empty'),
                       (b'a\nb', 'damaged'), (b'\xff', 'damaged')):  # fmt: skip
        pointer.write_bytes(text)
        with pytest.raises(UserError, match=f'last_checkpoint: {said}.*--resume PATH'):
            latest_checkpoint(folder)
    pointer.write_text('/elsewhere/epoch_3.pth')
    with pytest.raises(FileNotFoundError, match='epoch_3.pth: no such file, .*last_checkpoint nam'):
        latest_checkpoint(folder)
    (tmp_path / 'epoch_3.pth').touch()  # the work-dir was moved
    assert latest_checkpoint(folder) == str(tmp_path / 'epoch_3.pth')
