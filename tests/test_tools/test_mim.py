# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``mim`` on an editable install, with the path of a config."""

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from smallobj_mm.checkpoints.zoo import copy_model
from smallobj_mm.utils.configs import read_config

HERE = Path(__file__).resolve().parent
CONFIG = HERE / 'toy_config.py'


def is_editable() -> bool:
    """Whether the distribution is installed, from this folder."""
    try:
        text = importlib.metadata.distribution('smallobj_mm').read_text('direct_url.json')
    except importlib.metadata.PackageNotFoundError:
        return False
    return bool(text) and json.loads(text).get('dir_info', {}).get('editable', False)


pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec('mim') is None, reason='mim (onedl-mim or openmim) not installed'
    ),
    pytest.mark.skipif(not is_editable(), reason='smallobj_mm is not installed with pip -e'),
]


def mim(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-m', 'mim', *map(str, arguments)],
        env={**os.environ, 'PYTHONPATH': str(HERE), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_config_path_and_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    import toy_task

    model = toy_task.ToyModel(norm_cfg=dict(type='BN'))
    checkpoint = tmp_path / 'toy.pth'
    torch.save(dict(meta={}, state_dict=model.state_dict()), checkpoint)
    done = mim(
        'test', 'smallobj_mm', CONFIG, '--checkpoint', checkpoint, '--work-dir', tmp_path / 'work'
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / 'work/test.json').read_text())
    assert metrics == {'count/counted': 7, 'count/distinct': 7}


def test_download_takes_files_that_are_there(tmp_path):
    """mim fetches weights by http alone; what lies in the folder it takes as it is."""
    name = 'obsdm_t_hituav'
    weights, _ = copy_model(name, tmp_path)
    (tmp_path / f'{name}.py').unlink()
    done = mim('download', 'smallobj_mm', '--config', name, '--dest', tmp_path)
    assert done.returncode == 0, done.stderr
    assert f'{weights.name} exists in' in done.stdout
    assert Config.fromfile(tmp_path / f'{name}.py').model == read_config(name).model


def test_dot_mim_leads_to_configs_and_tools(repo_root):
    folder = repo_root / 'smallobj_mm/.mim'
    for name in ('configs', 'tools', 'demo', 'model-index.yml'):
        assert (folder / name).resolve() == repo_root / name
