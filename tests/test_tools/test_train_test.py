# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""tools/train.py and tools/test.py as commands, on a toy task."""

import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest
import torch

HERE = Path(__file__).resolve().parent
CONFIG = str(HERE / 'toy_config.py')
COUNTED = {'count/counted': 7, 'count/distinct': 7}


def run(command: List[object], repo_root: Path, **env: str) -> subprocess.CompletedProcess:
    """Run a command with the toy task importable."""
    path = os.pathsep.join([str(HERE), str(repo_root)])
    # A run of the tests inside a distributed or Slurm job must not look like one of its processes.
    clean = {k: v for k, v in os.environ.items() if not k.startswith(('SLURM_', 'COV_'))}
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'SMALLOBJ_MM_DEBUG'):
        clean.pop(name, None)
    env = {**clean, 'PYTHONPATH': path, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1', **env}
    return subprocess.run(
        list(map(str, command)), env=env, capture_output=True, text=True, timeout=300
    )


def train(repo_root: Path, work_dir: Path, *options: object, **env: str):
    command = [sys.executable, repo_root / 'tools/train.py', CONFIG, '--work-dir', work_dir]
    return run([*command, *options], repo_root, **env)


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return str(listener.getsockname()[1])


def read(path: Path) -> dict:
    return json.loads(path.read_text())


@pytest.fixture(scope='module')
def trained(repo_root, tmp_path_factory):
    """The work-dir of a run of two epochs in one process."""
    work_dir = tmp_path_factory.mktemp('trained')
    done = train(repo_root, work_dir)
    assert done.returncode == 0, done.stderr
    return work_dir, done.stdout + done.stderr


def test_training_on_the_cpu_switches_sync_bn_off_with_a_message(trained):
    work_dir, output = trained
    assert read(work_dir / 'rank0.json') == dict(world=1, epoch=2, sync_bn=False)
    assert read(work_dir / 'val.json') == COUNTED
    messages = [line for line in output.splitlines() if 'atch normalisation' in line]
    assert len(messages) == (0 if torch.cuda.is_available() else 1)


def test_options(repo_root, tmp_path):
    """amp, auto-scale-lr and cfg-options reach the config that the run keeps."""
    options = ['--amp', '--auto-scale-lr', '--cfg-options', 'train_cfg.max_epochs=1']
    done = train(repo_root, tmp_path, *options, 'model.norm_cfg.type=BN')
    assert done.returncode == 0, done.stderr
    kept = (tmp_path / 'toy_config.py').read_text()
    assert 'AmpOptimWrapper' in kept or 'BFloat16OptimWrapper' in kept
    assert 'enable=True' in kept and 'max_epochs=1' in kept


def test_resume(repo_root, trained, tmp_path):
    """``--resume`` alone starts where there is nothing yet and goes on where there is."""
    work_dir = tmp_path / 'resumed'
    first = train(repo_root, work_dir, '--resume', '--cfg-options', 'train_cfg.max_epochs=1')
    assert first.returncode == 0, first.stderr
    assert 'no checkpoint in' in first.stdout + first.stderr
    done = train(repo_root, work_dir, '--resume')
    assert done.returncode == 0, done.stderr
    assert read(work_dir / 'rank0.json')['epoch'] == 2
    assert 'resumed epoch: 1' in max(work_dir.glob('*/*.log')).read_text()


def test_missing_data_stop_with_one_line(repo_root, tmp_path):
    options = ['--cfg-options', 'train_dataloader.dataset.length=0']
    done = train(repo_root, tmp_path, *options)
    assert done.returncode == 2
    assert 'Traceback' not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith('error: ')]
    assert errors == [
        'error: ToyDataset: no images in data/toy; it comes from nowhere (see the README)'
    ]
    assert done.stderr.rstrip().endswith(errors[0])


def call(repo_root: Path, monkeypatch: pytest.MonkeyPatch, tool: str, *arguments: str) -> int:
    """Run a tool in this process, for what ends before it builds anything; its exit status."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.delenv('RANK', raising=False)
    monkeypatch.setattr(sys, 'argv', [str(repo_root / 'tools' / tool), *arguments])
    monkeypatch.syspath_prepend(HERE)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(sys.argv[0], run_name='__main__')
    return stop.value.code


@pytest.mark.parametrize('script', ['dist_train', 'dist_test', 'slurm_train', 'slurm_test'])
def test_scripts_say_how_they_are_used(repo_root, script):
    done = run(['bash', repo_root / f'tools/{script}.sh'], repo_root)
    assert done.returncode == 2 and done.stderr.startswith('usage: ')
