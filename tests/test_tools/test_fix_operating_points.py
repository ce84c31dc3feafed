# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Thresholds of held-out images in the header of a file of weights."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

from smallobj_mm.checkpoints.reading import load_plain, read_header
from smallobj_mm.utils.configs import read_config

pytest.importorskip('mmseg')
safetensors = pytest.importorskip('safetensors.torch')

LEVELS = [4, 8]


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('analysis_tools/fix_operating_points')


@pytest.fixture
def task(tmp_path, repo_root):
    """A config with three held-out images, and random weights for it."""
    rng = np.random.default_rng(0)
    for folder in ('image', 'mask'):
        (tmp_path / 'data' / folder).mkdir(parents=True)
    for index in range(3):
        image = rng.integers(40, 80, (32, 48)).astype(np.uint8)
        mask = np.zeros_like(image)
        mask[8:11, 20 + index : 24 + index] = 255
        image[mask > 0] = 220
        cv2.imwrite(str(tmp_path / 'data' / 'image' / f'{index}.png'), image)
        cv2.imwrite(str(tmp_path / 'data' / 'mask' / f'{index}_pixels0.png'), mask)
    (tmp_path / 'data' / 'test.txt').write_text('0\n1\n2\n')
    steps = [dict(type=name) for name in ('LoadImageStrict', 'LoadBinaryMask', 'PackIRSTDInputs')]
    cfg = read_config(repo_root / 'configs/ismallnet/ismallnet_demo.py')
    cfg.model.backbone.update(channels=LEVELS, num_blocks=[1, 1])
    cfg.model.neck.update(in_channels=LEVELS, num_blocks=[1, 1])
    cfg.model.decode_head.head_module.update(in_channels=LEVELS, channels=4)
    cfg.model.decode_head.prior_prob = 0.4
    cfg.val_dataloader.dataset = dict(
        type='IRSTDDataset', data_root=str(tmp_path / 'data'), split='test', test_mode=True,
        pipeline=steps,
    )  # fmt: skip
    cfg.test_dataloader = cfg.val_dataloader
    cfg.dump(tmp_path / 'toy.py')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    model.init_weights()
    weights = tmp_path / 'toy.safetensors'
    safetensors.save_file(model.state_dict(), weights, metadata={'epochs': '3'})
    return str(tmp_path / 'toy.py'), str(weights)


def test_header(tool, task, capsys):
    """The thresholds come beside what was there, and the weights stay as they are."""
    before = load_plain(task[1])
    tool.main([*task, '--dry-run'])
    assert read_header(task[1]) == {'epochs': '3'}
    tool.main([*task])
    header = read_header(task[1])
    points = json.loads(header['operating_points'])
    assert points['find-everything'] <= points['balanced'] <= points['few-false-alarms']
    assert header['epochs'] == '3'
    assert header['operating_points_fixed_on'] == '3 images of val_dataloader'
    there = json.loads(header['operating_points_there'])
    assert {name: one['threshold'] for name, one in there.items()} == points
    after = load_plain(task[1])
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert 'balanced' in capsys.readouterr().out


def test_other_files_are_refused(tool, task):
    with pytest.raises(ValueError, match=r'toy.pth: expected a .safetensors file'):
        tool.main([task[0], 'toy.pth'])
