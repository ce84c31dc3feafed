# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Two processes: one model, and a learning rate for the images of both."""

import json

import torch

WITNESS = """
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class WeightsOfEachRankHook(Hook):
    priority = 'VERY_LOW'
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.save(runner, 'step')
    def after_train_epoch(self, runner):
        self.save(runner, 'epoch')
    def save(self, runner, when):
        state = dict(model=runner.model.module.state_dict(), images=runner.paths)
        torch.save(state, f'{runner.work_dir}/{when}_rank{get_rank()}.pt')
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        runner.paths = [s.img_path for s in data_batch['data_samples']]
"""


def test_two_processes(tiny, tmp_path, repo_root, run_tool, free_port):
    cfg = tiny(epochs=1)
    cfg.custom_imports.imports.append('witness')
    cfg.custom_hooks.append(dict(type='WeightsOfEachRankHook'))
    (tmp_path / 'witness.py').write_text(WITNESS)
    cfg.dump(tmp_path / 'two.py')
    done = run_tool(
        'env',
        f'PYTHONPATH={tmp_path}:{repo_root}',
        'bash',
        repo_root / 'tools/dist_train.sh',
        tmp_path / 'two.py',
        2,
        PORT=free_port,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    work = tmp_path / 'work'
    for when in ('step', 'epoch'):
        first, second = (torch.load(work / f'{when}_rank{rank}.pt') for rank in (0, 1))
        parameters = [n for n in first['model'] if 'running_' not in n and 'num_batches' not in n]
        assert len(parameters) > 100
        for name in parameters:
            assert torch.equal(first['model'][name], second['model'][name]), name
        if when == 'step':
            assert not set(first['images']) & set(second['images'])
        else:  # batch statistics as well, by the end of the epoch
            assert all(torch.equal(v, second['model'][n]) for n, v in first['model'].items())
    lines = next(work.rglob('scalars.json')).read_text().splitlines()
    assert abs(json.loads(lines[0])['lr'] - 0.05 * 16 / 256) < 1e-9  # 8 images in each of 2
