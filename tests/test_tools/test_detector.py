# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The real detector through the tools: two processes on the CPU, then augmented testing."""

import json
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).resolve().parent

CONFIG = """
_base_ = [
    '{configs}/_base_/models/obsdm_r18.py',
    '{configs}/_base_/datasets/synthetic_det.py',
    '{configs}/_base_/schedules/obsdm_300e.py',
    '{configs}/_base_/runtime/default_runtime_det.py',
]
custom_imports = dict(imports=['smallobj_mm', 'toy_task'], allow_failed_imports=False)
sync_bn = 'torch'
small = dict(data_root='synthetic', num_images=11, val_fraction=0.28, image_size=160)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(dataset=dict(dataset=small)),
)
val_dataloader = dict(batch_size=1, num_workers=0, persistent_workers=False, dataset=small)
test_dataloader = val_dataloader
val_evaluator = [dict(type='SmallObjectMetric'), dict(type='CountMetric', field='img_id')]
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1, val_interval=1)
custom_hooks = [dict(type='WitnessHook')]
model = dict(bbox_head=dict(num_classes=3))
"""


@pytest.fixture(scope='module')
def trained(repo_root, tmp_path_factory):
    """Folder and output of a run of one epoch in two processes."""
    folder = tmp_path_factory.mktemp('detector')
    (folder / 'config.py').write_text(CONFIG.format(configs=repo_root / 'configs'))
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        port = listener.getsockname()[1]
    script = repo_root / 'tools/dist_train.sh'
    done = run(['bash', script, 'config.py', 2, '--work-dir', 'work'], folder, PORT=str(port))
    assert done.returncode == 0, done.stderr
    return folder, done.stdout + done.stderr


def run(command: list, folder: Path, **env: str) -> subprocess.CompletedProcess:
    """Run a command in a folder, on the CPU, with the toy task's hook and metric importable."""
    env = dict(PYTHONPATH=str(HERE), PYTHON=sys.executable, OMP_NUM_THREADS='1', **env)
    return subprocess.run(
        list(map(str, command)),
        env={**os.environ, 'CUDA_VISIBLE_DEVICES': '', **env},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
    )


def test_two_processes_train_the_detector(trained):
    """No unused parameter, equal weights afterwards, each validation image counted once."""
    folder, output = trained
    for rank in (0, 1):
        facts = json.loads((folder / f'work/rank{rank}.json').read_text())
        assert facts == dict(world=2, epoch=1, sync_bn=False)
    metrics = json.loads((folder / 'work/val.json').read_text())
    assert metrics['count/counted'] == metrics['count/distinct'] == 3
    assert 'smallobj/AP50' in metrics
    assert output.count('ormalization is switched off') == 1
    first, second = (
        torch.load(folder / f'work/rank{rank}.pt', weights_only=True) for rank in (0, 1)
    )
    differ = [name for name in first if not torch.equal(first[name], second[name])]
    # Without synchronization each process has its own statistics; nothing else may differ.
    assert all('running_' in name for name in differ), differ
    assert any('running_' in name for name in differ)


def test_augmented_testing_paints_and_writes_predictions(repo_root, trained):
    folder, _ = trained
    command = [sys.executable, repo_root / 'tools/test.py', 'config.py', 'work/epoch_1.pth']
    options = ['--work-dir', 'test', '--tta', '--show-dir', 'pictures', '--out', 'test/all.pkl']
    done = run([*command, *options], folder)
    assert done.returncode == 0, done.stderr
    assert len(list(folder.glob('test/*/pictures/*.jpg'))) == 3
    predictions = pickle.loads((folder / 'test/all.pkl').read_bytes())
    assert len(predictions) == 3 and 'bboxes' in predictions[0]['pred_instances']
    assert json.loads((folder / 'test/test.json').read_text())['count/counted'] == 3
