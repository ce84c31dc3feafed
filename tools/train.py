#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Train any model of a config whose default scope is mmdet, mmseg or mmpretrain."""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import logging

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from smallobj_mm.engine.hooks import TrainingChecksHook
from smallobj_mm.engine.hooks.training_checks import check_batches
from smallobj_mm.engine.optim.amp import enable_amp
from smallobj_mm.engine.resuming import latest_checkpoint
from smallobj_mm.engine.runner import (
    add_common_arguments,
    build_runner,
    leaving_process_group,
    load_config,
)
from smallobj_mm.engine.work_dir_lock import locked_work_dir
from smallobj_mm.utils.errors import DEBUG_VARIABLE, UserError, errors_in_one_line
from smallobj_mm.utils.io import naming_folder


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f'{DEBUG_VARIABLE}=1 shows the traceback of every error.'
    )
    parser.add_argument('config', help='path of a config, or a name such as ismallnet_s_nuaa')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: float16 on CUDA, bfloat16 on the CPU',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by actual / base batch size (auto_scale_lr of the config)',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from a checkpoint; without a path (or "auto"): from the last complete one in '
        'the work-dir, if there is one',
    )
    add_common_arguments(parser)
    return parser.parse_args(argv)


def set_auto_scale_lr(cfg: Config) -> None:
    """Switch learning rate scaling on.

    Raises:
        UserError: The config does not say for which batch size its learning rate is.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise UserError(
            '--auto-scale-lr: the config has no auto_scale_lr.base_batch_size, the number of '
            'images a step that its learning rate is meant for; add auto_scale_lr='
            'dict(base_batch_size=...)'
        )
    cfg.auto_scale_lr.enable = True


def set_resume(cfg: Config, resume: str) -> None:
    """Go on from a checkpoint: a path, or 'auto' for the last one in the work-dir.

    Raises:
        FileNotFoundError: The last one is not there any more.
        UserError: The work-dir does not say which is the last.
    """
    path = latest_checkpoint(cfg.work_dir) if resume == 'auto' else resume
    if path is not None:
        cfg.resume, cfg.load_from = True, path
    else:
        print_log(
            f'--resume: no checkpoint in {cfg.work_dir} yet, training starts from the beginning',
            logger='current',
        )


def add_checks(runner: Runner) -> None:
    """Check data, schedule and checkpoint before training, unless the config has the hook.

    Raises:
        UserError: The training data make no batch.
    """
    if runner.train_loop is not None:
        check_batches(runner.train_dataloader)  # before schedules are built, which stumble over it
    if not any(isinstance(hook, TrainingChecksHook) for hook in runner.hooks):
        source = runner.cfg.get('load_from') or 'the checkpoint'
        runner.register_hook(TrainingChecksHook(resume_from=str(source)))


def main(argv: list[str] | None = None) -> None:
    """Train."""
    args = parse_args(argv)
    cfg = load_config(args)
    if args.amp:
        enable_amp(cfg)
    if args.auto_scale_lr:
        set_auto_scale_lr(cfg)
    if args.resume is not None:
        set_resume(cfg, args.resume)
    logging.raiseExceptions = False  # a full disk is said once, by what cannot do without
    with locked_work_dir(cfg.work_dir, cfg.launcher), naming_folder(cfg.work_dir):
        runner = build_runner(cfg)
        add_checks(runner)
        runner.train()


if __name__ == '__main__':
    with errors_in_one_line(), leaving_process_group():
        main()
