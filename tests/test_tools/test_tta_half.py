# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``--tta`` and ``--half`` of tools/test.py and tools/infer.py."""

import importlib
import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from smallobj_mm.models.utils import half

pytest.importorskip('mmseg')
HERE = Path(__file__).resolve().parent


@pytest.fixture(scope='module')
def task(tmp_path_factory):
    """Two images with bright squares, a config and weights."""
    root = tmp_path_factory.mktemp('task')
    rng = np.random.default_rng(0)
    for folder in ('images', 'masks'):
        (root / folder).mkdir()
    for index, shape in enumerate([(50, 70), (64, 96)]):
        image = rng.integers(60, 100, shape).astype(np.uint8)
        mask = np.zeros(shape, np.uint8)
        for y, x in ((8, 10), (30, 30)):
            image[y : y + 5, x : x + 5], mask[y : y + 5, x : x + 5] = 160, 1
        cv2.imwrite(str(root / f'images/im{index}.png'), image)
        cv2.imwrite(str(root / f'masks/im{index}.png'), mask)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        toy = importlib.import_module('irstd_toy')
    Config(toy.config(str(root), three_maps=False)).dump(str(root / 'config.py'))
    state = {
        'backbone.conv.weight': torch.full((1, 3, 1, 1), 1 / 3),
        'backbone.conv.bias': torch.zeros(1),
        'decode_head.conv_seg.weight': torch.ones(1, 1, 1, 1),
        'decode_head.conv_seg.bias': torch.full((1,), -3.0),
    }
    torch.save(dict(state_dict=state), root / 'toy.pth')
    return root


def test_tested_with_views_and_in_half(task, repo_root, monkeypatch):
    """Views of an equivariant model change nothing, in the maps either; half hardly."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    # Half precision where the CPU does not compute in bfloat16, too; slow there, but right.
    monkeypatch.setattr(half, 'cpu_computes_bfloat16', lambda: True)
    maps = []
    for number, options in enumerate([(), ('--tta',), ('--half', '--tta')]):
        out = task / f'out{number}'
        arguments = [
            'tools/test.py', task / 'config.py', task / 'toy.pth', '--work-dir', out,
            '--prob-dir', out / 'maps', '--prob-bits', 16, *options, '--cfg-options',
            f'test_evaluator.json_file={out / "metrics.json"}', f'experiment_name=run{number}',
        ]  # fmt: skip
        monkeypatch.setattr(sys, 'argv', list(map(str, arguments)))
        runpy.run_path(str(repo_root / 'tools' / 'test.py'), run_name='__main__')
        metrics = json.loads((out / 'metrics.json').read_text())
        assert metrics['0.5']['detected'] == 4
        files = sorted((out / 'maps').iterdir())
        maps.append([cv2.imread(str(file), cv2.IMREAD_UNCHANGED).astype(int) for file in files])
    for plain, views, rough in zip(*maps):
        assert np.abs(plain - views).max() <= 1
        assert 1 < np.abs(plain - rough).max() < 0.02 * 2**16


def test_options_of_the_inferencer(task, load_tool, tmp_path):
    tool = load_tool('infer')
    arguments = [task / 'images', '--config', task / 'config.py', '--weights', task / 'toy.pth']
    arguments += ['--out', tmp_path / 'out', '--tta', '--half']
    tool.main(list(map(str, arguments)))
    settings = json.loads((tmp_path / 'out' / 'settings.json').read_text())
    assert settings['tta'] is True and settings['half'] is True
    content = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert len(content) == 4
