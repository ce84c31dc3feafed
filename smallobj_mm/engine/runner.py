# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Fit a config to the machine, and start the processes of a distributed run without CUDA."""

import argparse
import contextlib
import datetime
import os
import subprocess
from pathlib import Path
from typing import Iterator

import torch
import torch.distributed
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import CheckpointLoader, Runner
from torch import nn

from smallobj_mm.checkpoints.reading import use_safe_loader
from smallobj_mm.checkpoints.state_dict import fitting_state
from smallobj_mm.compat import description
from smallobj_mm.engine.class_fitting import fit_classes
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.sync_bn import disable_sync_bn_on_cpu
from smallobj_mm.weights import shipped_weights

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')

#: Slurm variable -> the variable of PyTorch's launcher that says the same.
_SLURM = {
    'SLURM_PROCID': 'RANK',
    'SLURM_NTASKS': 'WORLD_SIZE',
    'SLURM_LOCALID': 'LOCAL_RANK',
}


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that training and testing share, named as in mmdet's tools."""
    parser.add_argument(
        '--work-dir', help='folder of logs and checkpoints (default: work_dirs/CONFIG_NAME)'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='settings that override those of the config: key=value, nested keys as a.b=value, '
        'lists as key="[a,b]" or key=a,b, tuples as key="[(a,b),(c,d)]" without white space',
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='job launcher')
    # torch.distributed passes the one or the other, depending on its version.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args: argparse.Namespace) -> Config:
    """The config with what the command line says about it.

    Args:
        args: Has config, work_dir, cfg_options, launcher and local_rank.

    Raises:
        FileNotFoundError: There is no such config.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('work_dirs', Path(args.config).stem)
    return cfg


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a config after fitting it to the machine.

    Checkpoints are read as plain tensors. Without CUDA, synchronized batch normalization is
    switched off with a message and distributed runs use gloo. A detector gets as many classes as
    its data. Loaders without workers lose the settings that only workers have. ``load_from`` may be
    the name of a model that ships.

    Raises:
        FileNotFoundError: There is no ``load_from``; said before anything is built or logged.
        UserError: Data sets of the config have different classes.
    """
    use_safe_loader()
    if cfg.get('launcher', 'none') != 'none' and not torch.cuda.is_available():
        _use_gloo(cfg)  # first: from then on only rank 0 logs
    disable_sync_bn_on_cpu(cfg)
    _find_weights(cfg)
    fit_classes(cfg)
    _fit_loaders(cfg)
    if cfg.get('default_scope') == 'mmpretrain':
        _set_mmpretrain_collate(cfg)
    runner = Runner.from_cfg(cfg) if 'runner_type' not in cfg else RUNNERS.build(cfg)
    if stand_ins := description():
        runner.logger.info(stand_ins)
    return runner


def check_weights(model: nn.Module, checkpoint: str) -> None:
    """Refuse a checkpoint that does not fit a model whole, before mmengine loads what fits of it.

    Args:
        model: The model, or a wrapper that has it as its ``module``.
        checkpoint: Path or address of a file.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: See :func:`~smallobj_mm.checkpoints.state_dict.fitting_state`.
    """
    loaded = CheckpointLoader.load_checkpoint(checkpoint, 'cpu', logger='silent')
    fitting_state(model, loaded, checkpoint)


@contextlib.contextmanager
def leaving_process_group() -> Iterator[None]:
    """Leave the process group of a distributed run when the body ends, whichever way it ends.

    A process that exits inside its group may be aborted by the threads of the group, and the
    launcher then reports a failure of a run that was complete.
    """
    try:
        yield
        if torch.distributed.is_initialized():
            torch.distributed.barrier()  # nobody takes the store away from another
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _find_weights(cfg: Config) -> None:
    """``load_from='obsdm_t_hituav'`` is the file of the weights that ship under this name.

    Raises:
        FileNotFoundError: It is no such name, no file, and no address that mmengine reads.
    """
    name = cfg.get('load_from')
    if not name or '://' in name or os.path.exists(name):
        return
    if Path(name).name != name or Path(name).suffix:
        raise FileNotFoundError(f'{name}: no such checkpoint, expected a file or an address')
    cfg.load_from = str(shipped_weights(name))


def _fit_loaders(cfg: Config) -> None:
    """``num_workers=0`` is enough: PyTorch refuses it beside settings of the workers."""
    for name in _LOADERS:
        loader = cfg.get(name)
        if loader is not None and loader.get('num_workers', 0) == 0:
            loader.pop('persistent_workers', None)
            loader.pop('prefetch_factor', None)


def _set_mmpretrain_collate(cfg: Config) -> None:
    """mmpretrain's configs leave it to its tools to say that batches are stacked."""
    for name in _LOADERS:
        if cfg.get(name) is not None:
            cfg[name].setdefault('collate_fn', ConfigDict(type='default_collate'))


def _first_slurm_host() -> str:
    """The compute node where rank 0 runs, as Slurm lists those of the step; empty if unknown.

    ``SLURM_LAUNCH_NODE_IPADDR`` is another one where ``srun`` was called on a login node.
    """
    nodes = os.environ.get('SLURM_STEP_NODELIST') or os.environ.get('SLURM_NODELIST', '')
    if not set(nodes) & set('[,'):
        return nodes
    try:
        listed = subprocess.check_output(['scontrol', 'show', 'hostnames', nodes], text=True)
    except (OSError, subprocess.CalledProcessError):
        return ''
    return next(iter(listed.split()), '')


def _use_gloo(cfg: Config) -> None:
    """Distributed processes on the CPU.

    mmengine selects a CUDA device for each process, whatever the backend, and hands its number
    to DistributedDataParallel. So the process group is made here (mmengine uses one that is
    there) and the wrapper is told that there is no device.

    Raises:
        UserError: The launcher did not set the variables that PyTorch needs.
    """
    if cfg.launcher == 'slurm':
        for slurm, name in _SLURM.items():
            if slurm in os.environ:
                os.environ.setdefault(name, os.environ[slurm])
        if 'MASTER_ADDR' not in os.environ and (host := _first_slurm_host()):
            os.environ['MASTER_ADDR'] = host
        os.environ.setdefault('MASTER_PORT', '29500')
    elif cfg.launcher == 'mpi':
        raise UserError(
            '--launcher mpi: this machine has no CUDA device and distributed runs on the CPU use '
            'gloo; expected pytorch or slurm, use tools/dist_train.sh'
        )
    missing = [
        name
        for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')
        if name not in os.environ
    ]
    if missing:
        raise UserError(
            f'--launcher {cfg.launcher}: {", ".join(missing)} not set in the environment; start '
            'the processes with tools/dist_train.sh or tools/slurm_train.sh'
        )
    # Assigned whole: a Config copies the dicts that are put into it.
    env_cfg = ConfigDict(cfg.get('env_cfg') or {})
    dist_cfg = ConfigDict(env_cfg.get('dist_cfg') or {}, backend='gloo')
    env_cfg.dist_cfg = dist_cfg
    cfg.env_cfg = env_cfg
    wrapper = ConfigDict(
        cfg.get('model_wrapper_cfg')
        or dict(
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
    )
    if wrapper.setdefault('type', 'MMDistributedDataParallel') == 'MMDistributedDataParallel':
        wrapper.device_ids = None
    cfg.model_wrapper_cfg = wrapper
    if not torch.distributed.is_initialized():
        timeout = datetime.timedelta(seconds=dist_cfg.get('timeout', 1800))
        torch.distributed.init_process_group('gloo', timeout=timeout)
        print_log(
            f'No CUDA device: {torch.distributed.get_world_size()} processes on the CPU (gloo).',
            logger='current',
        )
