# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What can be known to go wrong is said before the first step of a training."""

import logging
import math
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.hooks import Hook, LoggerHook
from mmengine.logging import print_log
from mmengine.optim import LinearParamScheduler
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from smallobj_mm.compat.mmengine_internals import accumulative_counts, is_resuming
from smallobj_mm.engine.hooks.random_state import get_random_state, set_random_state
from smallobj_mm.engine.resuming import check_resumable
from smallobj_mm.registry import HOOKS
from smallobj_mm.utils.errors import UserError

#: Lines of the log in an epoch that is shorter than the interval of the log.
_LINES = 4


@HOOKS.register_module()
class TrainingChecksHook(Hook):
    """Look at data, schedule and checkpoint before training starts; tools/train.py adds it.

    - The first validation image goes through its pipeline: what is wrong there is not left for the
      end of the first epochs. The random numbers of the training stay as they are.
    - A warning where the schedule is too short to learn anything, or ends before its warm-up.
    - The log gets more lines where an epoch has fewer batches than the interval of the log.
    - A checkpoint that training cannot go on from is refused, see
      :func:`~smallobj_mm.engine.resuming.check_resumable`.

    Args:
        min_steps: Steps of the optimizer under which training from the config's own weights is
            called too short. A detector's objectness, a mean over thousands of cells, needs about
            1000 to leave its prior: 300 steps on 30 images gave AP 0.000.
        min_finetuning_steps: The same where weights of the whole model are loaded (``load_from``).
        resume_from: Name of the checkpoint, for messages.

    Raises:
        UserError: A number is below 0; the validation data do not come through their pipeline; the
            checkpoint is none to resume from.
    """

    priority = 'HIGHEST'  # before hooks that take their parts out of a checkpoint

    def __init__(
        self,
        min_steps: int = 1000,
        min_finetuning_steps: int = 100,
        resume_from: str = 'the checkpoint',
    ) -> None:
        if min(min_steps, min_finetuning_steps) < 0:
            raise UserError(
                f'TrainingChecksHook: min_steps is {min_steps}, min_finetuning_steps '
                f'{min_finetuning_steps}, expected 0 or more'
            )
        self.min_steps = min_steps
        self.min_finetuning_steps = min_finetuning_steps
        self.resume_from = resume_from

    def before_run(self, runner: Runner) -> None:
        """Check data and schedule; loops and optimizer are built, nothing has run."""
        if runner.val_loop is not None:
            _try_first_sample(runner.val_loop.dataloader.dataset)
        for line in self._schedule_warnings(runner):
            print_log(line, logger='current', level=logging.WARNING)
        _log_more_often(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check a checkpoint that training goes on from."""
        if is_resuming(runner):
            check_resumable(checkpoint, runner, self.resume_from)

    def _schedule_warnings(self, runner: Runner) -> list[str]:
        iterations = runner.max_iters
        counts = getattr(runner.optim_wrapper, 'optim_wrappers', None)  # of a dict of wrappers
        steps = iterations if counts else iterations // accumulative_counts(runner.optim_wrapper)
        loaded = bool(runner.cfg.get('load_from'))
        least = self.min_finetuning_steps if loaded else self.min_steps
        lines = []
        if steps < least and not is_resuming(runner):  # it was said at the beginning
            batches = len(runner.train_dataloader)
            epochs = math.ceil(runner.max_epochs * least / max(steps, 1))
            longer = (
                f'train_cfg.max_epochs={epochs} makes {least}'
                if isinstance(runner.train_loop, EpochBasedTrainLoop)
                else f'train_cfg.max_iters={least * max(iterations // max(steps, 1), 1)}'
            )
            advice = '' if loaded else ', or begin with trained weights (load_from)'
            lines.append(
                f'schedule: {steps} steps of the optimizer ({batches} batches an epoch), less than '
                f'the {least} that training takes to learn anything; {longer}{advice}'
            )
        schedulers = runner.param_schedulers
        for scheduler in schedulers if isinstance(schedulers, list) else []:
            if not isinstance(scheduler, LinearParamScheduler):
                continue
            length = runner.max_epochs if scheduler.by_epoch else iterations
            if scheduler.start_factor < scheduler.end_factor and scheduler.total_iters > length:
                unit = 'epochs' if scheduler.by_epoch else 'iterations'
                lines.append(
                    f'param_scheduler: {type(scheduler).__name__} warms up for '
                    f'{scheduler.total_iters} {unit}, the run has {length}: the rate never '
                    'gets where it should; lower its end or train longer'
                )
        return lines


def check_batches(loader: DataLoader) -> None:
    """Refuse training data that are fewer than a batch, where only whole ones are taken.

    Samplers without an end fill a batch from images of any number.

    Args:
        loader: That of the training.

    Raises:
        UserError: An epoch has no batch.
    """
    if len(loader) > 0:
        return
    batches: Any = loader.batch_sampler
    if isinstance(batches.sampler, InfiniteSampler):
        return
    images: Any = loader.dataset
    world = get_world_size()
    size = str(batches.batch_size) + (f' for each of {world} processes' if world > 1 else '')
    raise UserError(
        f'train_dataloader: {len(images)} images make no whole batch of {size}, '
        'expected one or more an epoch; lower batch_size or give more images'
    )


def _try_first_sample(dataset: Any) -> None:
    """Take one sample through the pipeline of a data set.

    Raises:
        UserError: It does not come through.
    """
    before = get_random_state()
    try:
        dataset[0]
    except (UserError, FileNotFoundError):
        raise
    except Exception as error:
        raise UserError(
            f'val_dataloader: its first image does not come through the pipeline '
            f'({type(error).__name__}: {error}); correct val_dataloader.dataset.pipeline, or the '
            'names at the top of the config that it is made of'
        ) from error
    finally:
        set_random_state(before)


def _log_more_often(runner: Runner) -> None:
    """Lower the interval of the log to a part of an epoch that is shorter."""
    if not isinstance(runner.train_loop, EpochBasedTrainLoop):
        return
    batches = len(runner.train_dataloader)
    for hook in runner.hooks:
        if isinstance(hook, LoggerHook) and 0 < batches < hook.interval:
            interval = max(batches // _LINES, 1)
            print_log(
                f'An epoch has {batches} batches: the log gets a line every {interval} instead of '
                f'{hook.interval}.',
                logger='current',
            )
            hook.interval = interval
