# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import argparse
import os

import pytest
import torch.distributed as dist
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from smallobj_mm.engine import runner
from smallobj_mm.engine.runner import build_runner, leaving_process_group, load_config
from smallobj_mm.registry import DATASETS, MODELS
from smallobj_mm.weights import shipped_weights


def join(tmp_path):
    dist.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)


def test_the_group_is_left(tmp_path):
    with leaving_process_group():
        join(tmp_path)
        assert dist.is_initialized()
    assert not dist.is_initialized()


def test_the_group_is_left_after_an_error(tmp_path):
    with pytest.raises(ValueError, match='bad config'), leaving_process_group():
        join(tmp_path)
        raise ValueError('bad config')
    assert not dist.is_initialized()


def test_without_a_group():
    with leaving_process_group():
        pass
    assert not dist.is_initialized()


@pytest.mark.parametrize('workers', [0, 1])
def test_settings_of_workers_go_with_the_workers(workers, tmp_path):
    """``num_workers=0`` beside ``persistent_workers=True`` of a base is an error of PyTorch."""
    MODELS.register_module(module=nn.Identity, name='RunnerToy', force=True)
    DATASETS.register_module(module=list, name='RunnerToyImages', force=True)
    loader = dict(
        batch_size=1,
        num_workers=workers,
        persistent_workers=True,
        prefetch_factor=2,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='RunnerToyImages'),
    )
    cfg = Config(
        dict(
            model=dict(type='RunnerToy'),
            work_dir=str(tmp_path),
            test_dataloader=loader,
            test_cfg=dict(),
            test_evaluator=dict(type='DumpResults', out_file_path=str(tmp_path / 'out.pkl')),
            default_scope='mmengine',
            log_level='ERROR',
            experiment_name=f'loaders_{workers}',
        )
    )
    built = build_runner(cfg).build_dataloader(cfg.test_dataloader)
    assert built.persistent_workers == (workers > 0)
    assert built.prefetch_factor == (2 if workers else None)


def test_names_of_models_that_ship(tmp_path):
    """``load_from`` takes them, for a wheel has no folder that a path could be relative to."""
    MODELS.register_module(module=nn.Identity, name='RunnerToy', force=True)
    for name, path in (
        ('ismallnet_s_nuaa', str(shipped_weights('ismallnet_s_nuaa'))),
        ('https://example.com/a.pth', 'https://example.com/a.pth'),
        (None, None),
    ):
        cfg = Config(
            dict(
                model=dict(type='RunnerToy'),
                work_dir=str(tmp_path),
                load_from=name,
                default_scope='mmengine',
                log_level='ERROR',
                experiment_name=f'load_from_{name}'.replace('/', '_'),
            )
        )
        assert build_runner(cfg)._load_from == path


@pytest.mark.parametrize('name', ['elsewhere/a.pth', 'a.pth', 'no_such_model'])
def test_weights_that_are_not_there(tmp_path, monkeypatch, name):
    """They are missed before the run is built, and not below a page of log."""
    monkeypatch.setattr(Runner, 'from_cfg', lambda cfg: pytest.fail('built'))
    with pytest.raises(FileNotFoundError, match=f'^{name}: no '):
        build_runner(Config(dict(work_dir=str(tmp_path), load_from=name)))


@pytest.mark.parametrize(
    ('variables', 'host'),
    [
        (dict(SLURM_NODELIST='gpu[03-04,07]'), 'gpu03'),
        (dict(SLURM_NODELIST='gpu[01-09]', SLURM_STEP_NODELIST='gpu07,gpu08'), 'gpu07'),
        (dict(SLURM_NODELIST='gpu05', SLURM_LAUNCH_NODE_IPADDR='192.0.2.1'), 'gpu05'),
        (dict(SLURM_LAUNCH_NODE_IPADDR='192.0.2.1'), ''),
    ],
)
def test_the_first_node_of_slurm(monkeypatch, variables, host):
    for name in ('SLURM_NODELIST', 'SLURM_STEP_NODELIST'):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    hosts = {'gpu[03-04,07]': 'gpu03\ngpu04\ngpu07\n', 'gpu07,gpu08': 'gpu07\ngpu08\n'}
    monkeypatch.setattr(runner.subprocess, 'check_output', lambda command, text: hosts[command[-1]])
    assert runner._first_slurm_host() == host


def test_slurm_without_its_commands(monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setenv('SLURM_STEP_NODELIST', 'gpu[03-04]')
    assert runner._first_slurm_host() == ''


def test_names_of_configs(monkeypatch):
    """As infer.py takes them; the work-dir is called like the config."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    args = argparse.Namespace(
        config='ismallnet_s_nuaa', work_dir=None, cfg_options=None, launcher='none', local_rank=0
    )
    cfg = load_config(args)
    assert cfg.work_dir == os.path.join('work_dirs', 'ismallnet_s_nuaa')
    assert cfg.model.type == 'EncoderDecoder'
    args.config = 'ismallnet_s_nua'
    with pytest.raises(FileNotFoundError, match='neither a file nor the name of a config'):
        load_config(args)
