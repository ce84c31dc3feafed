# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""tools/train.py and tools/test.py as commands, on a toy task."""

import importlib
import json
import os
import pickle
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest
import torch

from smallobj_mm.compat.mmengine_internals import cpu_computes_bfloat16

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
    messages = [line for line in output.splitlines() if 'atch normalization' in line]
    assert len(messages) == (0 if torch.cuda.is_available() else 1)


def test_options(repo_root, tmp_path):
    """amp, auto-scale-lr and cfg-options reach the config that the run keeps."""
    options = ['--amp', '--auto-scale-lr', '--cfg-options', 'train_cfg.max_epochs=1']
    done = train(repo_root, tmp_path, *options, 'model.norm_cfg.type=BN')
    assert done.returncode == 0, done.stderr
    kept = (tmp_path / 'toy_config.py').read_text()
    mixed = 'AmpOptimWrapper' in kept or 'BFloat16OptimWrapper' in kept
    assert mixed == (torch.cuda.is_available() or cpu_computes_bfloat16())
    assert 'enable=True' in kept and 'max_epochs=1' in kept


def test_fewer_images_than_a_batch(repo_root, tmp_path):
    """Said before schedules are built, which mmengine cannot count for such an epoch."""
    schedule = dict(type='CosineAnnealingLR', T_max=2, convert_to_iter_based=True)
    options = [f'+param_scheduler.{key}={value}' for key, value in schedule.items()]
    options += ['train_dataloader.batch_size=9', '+train_dataloader.drop_last=True']
    done = train(repo_root, tmp_path, '--cfg-options', *options)
    assert done.returncode != 0
    assert '8 images make no whole batch of 9' in done.stderr, done.stderr
    assert 'Traceback' not in done.stderr


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


@pytest.mark.parametrize(
    ('tool', 'arguments', 'said'),
    [
        ('train.py', ['nowhere.py'], 'config nowhere.py: no such file'),
        ('test.py', [CONFIG, 'x.pth', '--out', 'x.json'], 'ends in .pkl'),
        ('test.py', [CONFIG, 'x.pth'], 'x.pth: no such checkpoint'),
        ('test.py', [CONFIG, 'ismallnet_s_nua'], 'expected one of ismallnet_s'),
        ('test.py', [CONFIG, 'x', '--cfg-options', 'default_scope=mmocr'], "scope 'mmocr'"),
        ('train.py', [CONFIG, '--auto-scale-lr', '--cfg-options', 'auto_scale_lr={}'], 'base_'),
        pytest.param(
            'train.py',
            [CONFIG, '--launcher', 'pytorch'],
            'RANK',
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason='then mmengine starts them'),
        ),
    ],
)
def test_wrong_arguments_stop_with_one_line(repo_root, monkeypatch, capsys, tool, arguments, said):
    assert call(repo_root, monkeypatch, tool, *arguments) == 2
    last = capsys.readouterr().err.rstrip().splitlines()[-1]
    assert last.startswith('error: ') and said in last


def test_help(repo_root, monkeypatch, capsys):
    assert call(repo_root, monkeypatch, 'train.py', '-h') == 0
    said = capsys.readouterr().out
    assert '--local-rank' in said
    assert '--gpus' not in said  # mim would pass it


def test_a_checkpoint_with_code_is_refused(repo_root, trained, tmp_path):
    class Code:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'ran'),)

    torch.save(dict(state_dict={}, code=Code()), tmp_path / 'evil.pth')
    command = [sys.executable, repo_root / 'tools/test.py', CONFIG, tmp_path / 'evil.pth']
    done = run([*command, '--work-dir', tmp_path], repo_root)
    assert done.returncode == 2
    assert done.stderr.rstrip().splitlines()[-1].startswith('error: ')
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (dict(keep=()), 'holds no weights (state_dict: dict without tensors)'),
        (dict(keep=('norm',)), '2 weights are missing (first: linear.weight), expected the 7'),
        (dict(more={'other.weight': torch.ones(3)}), '1 weights are unknown to the model'),
        (dict(more={'linear.weight': torch.ones(3, 4)}), 'linear.weight (3, 4), expected (1, 4)'),
        (dict(state=[torch.ones(3)]), 'holds no weights (state_dict: list without tensors)'),
        (dict(state=7), 'holds no weights (state_dict: int without tensors)'),
        (dict(state={0: torch.ones(3)}), '6 weights are missing (first: norm.weight)'),
    ],
    ids=['none', 'some', 'one too many', 'other classes', 'list', 'number', 'positions'],
)
def test_all_weights_must_fit(repo_root, tmp_path, monkeypatch, capsys, change, said):
    """One rule for testing and inference: a checkpoint fits whole, or the run does not begin."""
    monkeypatch.syspath_prepend(HERE)
    model = importlib.import_module('toy_task').ToyModel(dict(type='BN'))
    state = {k: v for k, v in model.state_dict().items() if k.startswith(change.get('keep', ''))}
    path = tmp_path / 'other.pth'
    state = change.get('state', {**state, **change.get('more', {})})
    torch.save(dict(state_dict=state), path)
    arguments = [CONFIG, str(path), '--work-dir', str(tmp_path / 'work')]
    assert call(repo_root, monkeypatch, 'test.py', *arguments) == 2
    last = capsys.readouterr().err.rstrip().splitlines()[-1]
    assert last.startswith(f'error: {path}: ') and said in last


def test_names_of_models_that_ship_are_checkpoints(repo_root, tmp_path, monkeypatch, capsys):
    arguments = [CONFIG, 'ismallnet_s_nuaa', '--work-dir', str(tmp_path)]
    assert call(repo_root, monkeypatch, 'test.py', *arguments) == 2
    assert 'ismallnet_s_nuaa.safetensors: ' in capsys.readouterr().err.rstrip().splitlines()[-1]


def test_prob_bits_without_maps(repo_root, monkeypatch, capsys):
    assert call(repo_root, monkeypatch, 'test.py', CONFIG, 'x.pth', '--prob-bits', '16') == 2
    assert '--prob-bits: needs --prob-dir' in capsys.readouterr().err


def test_testing_writes_predictions(repo_root, trained, tmp_path):
    work_dir, _ = trained
    command = [sys.executable, repo_root / 'tools/test.py', CONFIG, work_dir / 'epoch_2.pth']
    out = tmp_path / 'predictions.pkl'
    done = run([*command, '--work-dir', tmp_path, '--out', out, '--cfg-options',
                'default_scope=mmpretrain'], repo_root)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / 'test.json') == COUNTED
    assert [one['index'] for one in pickle.loads(out.read_bytes())] == list(range(7))
    assert not list(tmp_path.glob('.*'))


def test_testing_in_two_processes(repo_root, trained, tmp_path):
    """Seven images in two processes: each counts once."""
    checkpoint = trained[0] / 'epoch_2.pth'
    command = ['bash', repo_root / 'tools/dist_test.sh', CONFIG, checkpoint, 2]
    done = run([*command, '--work-dir', tmp_path], repo_root, PORT=free_port(),
               CUDA_VISIBLE_DEVICES='')  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / 'test.json') == COUNTED


def test_slurm_on_the_cpu(repo_root, tmp_path):
    """slurm_train.sh with a stand-in for srun that starts the processes of a job.

    It is called on a login node, which the processes cannot reach each other through.
    """
    srun = tmp_path / 'srun'
    srun.write_text(
        '#!/usr/bin/env bash\n'
        'echo "$@" > "$(dirname "$0")/asked"\n'
        'while [[ "$1" == -* || "$1" == part ]]; do shift; done\n'
        'export SLURM_NTASKS=2 SLURM_LAUNCH_NODE_IPADDR=192.0.2.1 SLURM_NODELIST=127.0.0.1\n'
        'for id in 0 1; do SLURM_PROCID=$id SLURM_LOCALID=$id "$@" & done\n'
        'wait\n'
    )
    srun.chmod(0o755)
    work_dir = tmp_path / 'work'
    script = repo_root / 'tools/slurm_train.sh'
    done = run(
        ['bash', script, 'part', 'job', CONFIG, work_dir],
        repo_root,
        PATH=f'{tmp_path}{os.pathsep}{os.environ["PATH"]}',
        GPUS='2',
        GPUS_PER_NODE='0',
        MASTER_PORT=free_port(),
        CUDA_VISIBLE_DEVICES='',
    )
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):
        facts = read(work_dir / f'rank{rank}.json')
        assert facts == dict(world=2, epoch=2, sync_bn=False)
    assert read(work_dir / 'val.json') == COUNTED
    weights = [torch.load(work_dir / f'rank{rank}.pt', weights_only=True) for rank in (0, 1)]
    for name in ('linear.weight', 'linear.bias', 'norm.weight', 'norm.bias'):
        assert torch.equal(weights[0][name], weights[1][name])
    asked = (tmp_path / 'asked').read_text()
    assert '-p part --job-name=job --ntasks=2' in asked and '--gres' not in asked


def test_a_killed_process_is_started_again(repo_root, tmp_path):
    """torchrun ends the others, whose lock of the work-dir goes with them, and all resume.

    The first process comes late to the second start: until then nothing may tell the other one
    where it was before.
    """
    config = tmp_path / 'killed_config.py'
    config.write_text(
        'import os\n'
        'import time\n'
        "if (os.environ['RANK'], os.environ['TORCHELASTIC_RESTART_COUNT']) == ('0', '1'):\n"
        '    time.sleep(1)\n'
        f'_base_ = {CONFIG!r}\n'
        "custom_imports = dict(imports=['smallobj_mm', 'toy_task'], allow_failed_imports=False)\n"
        'default_hooks = dict(\n'
        "    checkpoint=dict(type='SafeCheckpointHook', interval=1),\n"
        "    random_state=dict(type='RandomStateHook'),\n"
        ')\n'
        "custom_hooks = [dict(type='WitnessHook'), dict(type='KillOnceHook')]\n"
    )
    work_dir = tmp_path / 'work'
    done = run(
        ['bash', repo_root / 'tools/dist_train.sh', config, 2, '--work-dir', work_dir, '--resume'],
        repo_root,
        MAX_RESTARTS='1',
        PORT=free_port(),
        CUDA_VISIBLE_DEVICES='',
    )
    assert done.returncode == 0, done.stderr
    assert (work_dir / 'killed').exists() and 'another training' not in done.stderr
    assert read(work_dir / 'val.json') == COUNTED
    for rank in (0, 1):
        assert read(work_dir / f'rank{rank}.json') == dict(world=2, epoch=2, sync_bn=False)
    weights = [torch.load(work_dir / f'rank{rank}.pt', weights_only=True) for rank in (0, 1)]
    assert torch.equal(weights[0]['linear.weight'], weights[1]['linear.weight'])
    assert 'resumed epoch: 1' in max(work_dir.glob('*/*.log')).read_text()


@pytest.mark.parametrize('script', ['dist_train', 'dist_test', 'slurm_train', 'slurm_test'])
def test_scripts_say_how_they_are_used(repo_root, script):
    done = run(['bash', repo_root / f'tools/{script}.sh'], repo_root)
    assert done.returncode == 2 and done.stderr.startswith('usage: ')
