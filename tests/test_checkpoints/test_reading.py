# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints are read as data, whatever is in them."""

import builtins
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, Runner
from mmengine.runner.checkpoint import load_checkpoint
from safetensors.torch import save_file
from torch import nn

from smallobj_mm.checkpoints import load_plain, use_safe_loader
from smallobj_mm.checkpoints.reading import load_from_local_plain


@pytest.fixture
def safe_loader() -> Iterator[None]:
    before = dict(CheckpointLoader._schemes)
    use_safe_loader()
    yield
    for prefix, loader in before.items():
        CheckpointLoader.register_scheme(prefix, loader, force=True)


class RunsCommand:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.made),)


class Builtins:
    """Its pickle is the module ``builtins``, for whoever allows getattr."""

    def __reduce__(self) -> tuple:
        return getattr, (getattr, '__self__')


class WritesBuiltins:
    """Its pickle sets a name in ``builtins``, for whoever allows getattr."""

    def __reduce__(self) -> tuple:
        return getattr, (Builtins(), '__dict__'), None, None, iter([('smallobj_pwned', 1)])


def test_plain(tmp_path: Path) -> None:
    """What a training checkpoint holds is read: tensors, log history, NumPy numbers."""
    history = HistoryBuffer([1.0, 3.0], [1, 1])
    torch.save(
        dict(
            state_dict=dict(w=torch.ones(2)),
            history=history,
            score=np.float64(0.5),
            table=np.arange(3, dtype=np.uint8),
        ),
        tmp_path / 'a.pth',
    )
    loaded = load_plain(tmp_path / 'a.pth')
    assert loaded['state_dict']['w'].tolist() == [1, 1]
    assert loaded['history'].mean() == 2 and loaded['history'].statistics('max') == 3
    assert loaded['score'] == 0.5 and loaded['table'].tolist() == [0, 1, 2]


def test_safetensors(tmp_path: Path) -> None:
    save_file(dict(w=torch.ones(2)), str(tmp_path / 'a.safetensors'))
    assert load_plain(tmp_path / 'a.safetensors')['w'].tolist() == [1, 1]


def test_code_is_refused(tmp_path: Path) -> None:
    """One line that names file and culprit; nothing has run."""
    torch.save(dict(w=RunsCommand(tmp_path / 'made')), tmp_path / 'evil.pth')
    with pytest.raises(ValueError, match=r'evil\.pth: refused.*mkdir') as caught:
        load_plain(tmp_path / 'evil.pth')
    assert '\n' not in str(caught.value)
    assert not (tmp_path / 'made').exists()


def test_getattr_is_refused(tmp_path: Path) -> None:
    """mmengine's own allow-list has getattr, with which a file can rewrite the interpreter."""
    torch.save(dict(w=WritesBuiltins()), tmp_path / 'evil.pth')
    with pytest.raises(ValueError, match=r'evil\.pth: refused.*getattr'):
        load_plain(tmp_path / 'evil.pth')
    assert not hasattr(builtins, 'smallobj_pwned')


def test_others_allowances_are_not_used(tmp_path: Path) -> None:
    """What a library has allowed in this process does not count here, and is kept for it."""
    torch.save(dict(w=RunsCommand(tmp_path / 'made')), tmp_path / 'evil.pth')
    with torch.serialization.safe_globals([os.mkdir]):
        with pytest.raises(ValueError, match='refused'):
            load_plain(tmp_path / 'evil.pth')
        assert os.mkdir in torch.serialization.get_safe_globals()
    assert not (tmp_path / 'made').exists()


def _broken(kind: str, folder: Path) -> Path:
    path = folder / f'{kind}.pth'
    torch.save(dict(w=torch.ones(999)), path, _use_new_zipfile_serialization=kind != 'old')
    if kind in ('truncated', 'old'):
        path.write_bytes(path.read_bytes()[:-900])
    elif kind == 'empty':
        path.write_bytes(b'')
    elif kind == 'text':
        path.write_text('version https://git-lfs.github.com/spec/v1')
    elif kind == 'list':
        torch.save([torch.ones(2)], path)
    elif kind == 'safetensors':
        path = path.with_suffix('.safetensors')
        path.write_bytes(b'12')
    return path


@pytest.mark.parametrize('kind', ['truncated', 'old', 'empty', 'text', 'list', 'safetensors'])
def test_broken_files(kind: str, tmp_path: Path) -> None:
    path = _broken(kind, tmp_path)
    with pytest.raises(ValueError, match=f'{kind}.*not a') as caught:
        load_plain(path)
    assert '\n' not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'none\.pth: no such checkpoint'):
        load_plain(tmp_path / 'none.pth')


@pytest.mark.parametrize('resume', [False, True])
def test_runner_refuses(resume: bool, tmp_path: Path, safe_loader: None) -> None:
    """Neither --resume nor load_from run code; stock mmengine would, on its second attempt."""
    torch.save(
        dict(meta=dict(epoch=1, iter=1), x=RunsCommand(tmp_path / 'made')), tmp_path / 'evil.pth'
    )
    runner = Runner(
        model=nn.Linear(1, 1),
        work_dir=str(tmp_path / 'work'),
        load_from=str(tmp_path / 'evil.pth'),
        resume=resume,
        log_level='ERROR',
        experiment_name=f'refuses_{resume}',
    )
    with pytest.raises(ValueError, match='refused'):
        runner.load_or_resume()
    assert not (tmp_path / 'made').exists()


def test_mmengine_loads_through_ours(tmp_path: Path, safe_loader: None) -> None:
    torch.save(dict(state_dict=nn.Linear(2, 1).state_dict()), tmp_path / 'good.pth')
    assert 'state_dict' in load_checkpoint(nn.Linear(2, 1), str(tmp_path / 'good.pth'))


def test_http(tmp_path: Path, safe_loader: None, monkeypatch: Any) -> None:
    """An address is downloaded once, then read as a local file."""
    fetched = []

    def download(url: str, path: str) -> None:
        fetched.append(url)
        torch.save(dict(w=RunsCommand(tmp_path / 'made')), path)

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    for _ in range(2):
        with pytest.raises(ValueError, match='refused'):
            CheckpointLoader.load_checkpoint('https://example.org/a/evil.pth?x=1')
    assert fetched == ['https://example.org/a/evil.pth?x=1']
    assert not (tmp_path / 'made').exists()


@pytest.mark.parametrize('address', ['s3://a/b.pth', 'a:petrel://b.pth', 'pavi://b', 'mmcls://b'])
def test_other_schemes(address: str, safe_loader: None) -> None:
    with pytest.raises(ValueError, match='download the file'):
        CheckpointLoader.load_checkpoint(address)


def test_bare_weights_come_as_a_checkpoint(tmp_path):
    """The runner's hooks (EMA) look for ``state_dict``."""
    save_file({'w': torch.ones(2)}, tmp_path / 'a.safetensors')
    torch.save({'meta': {}, 'state_dict': {'w': torch.ones(2)}}, tmp_path / 'a.pth')
    for name in ('a.safetensors', 'a.pth'):
        loaded = load_from_local_plain(str(tmp_path / name))
        assert loaded['state_dict']['w'].tolist() == [1, 1]


def test_importing_the_package_is_enough(tmp_path: Path) -> None:
    """For those who train with our components through tools of their own."""
    torch.save(dict(w=RunsCommand(tmp_path / 'made')), tmp_path / 'evil.pth')
    program = (
        'import sys, smallobj_mm; from torch import nn\n'
        'from mmengine.runner import CheckpointLoader\n'
        'from mmengine.runner.checkpoint import load_checkpoint, load_from_ceph\n'
        "assert CheckpointLoader._schemes[r'(\\S+\\:)?s3://'] is load_from_ceph\n"
        'load_checkpoint(nn.Linear(1, 1), sys.argv[1])\n'
    )
    command = [sys.executable, '-c', program, str(tmp_path / 'evil.pth')]
    done = subprocess.run(command, capture_output=True, text=True)
    assert 'evil.pth: refused' in done.stderr and not (tmp_path / 'made').exists()
