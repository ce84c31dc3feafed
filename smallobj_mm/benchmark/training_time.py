# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""How long a training will take on this machine, from a few of its steps."""

from __future__ import annotations

import copy
import statistics
import tempfile
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from smallobj_mm.engine.runner import build_runner
from smallobj_mm.utils.errors import UserError

from .timing import clock

#: Steps that are left out: the first allocates memory and starts the workers.
WARM_UP = 1


class TrainingTime(NamedTuple):
    """What a training takes.

    Attributes:
        steps: Iterations of the whole training.
        step: Seconds of one, with its data; the median of those measured.
    """

    steps: int
    step: float

    @property
    def seconds(self) -> float:
        """Of all steps; evaluations come on top."""
        return self.steps * self.step


class _Enough(Exception):  # noqa: N818  it is no error
    """Ends a training of which enough has been seen."""


class _StepClock(Hook):
    """Notes when steps end, and ends the training after some.

    Args:
        steps: How many.
    """

    priority = 'LOWEST'  # after what else belongs to a step

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.marks: list[float] = []  # s; of the start and of the ends of steps
        self.now = clock('cuda' if torch.cuda.is_available() else 'cpu')

    def before_train(self, runner: Runner) -> None:
        """Note the start."""
        self.marks.append(self.now())

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: object = None
    ) -> None:
        """Note the time.

        Raises:
            _Enough: All steps are over.
        """
        self.marks.append(self.now())
        if len(self.marks) > self.steps:
            raise _Enough


def measure_training_time(cfg: Config, steps: int = 4) -> TrainingTime:
    """Run the first steps of a training and say how long the whole will take.

    Nothing is kept of them: they run in a folder that is deleted, without a message.

    Args:
        cfg: Config of the training, as ``tools/train.py`` would run it; it is not changed.
        steps: Steps that count; one more is made before. Fewer where the training is shorter.

    Raises:
        UserError: ``steps`` is below 1, or the training has no step.
    """
    if steps < 1:
        raise UserError(f'measure_training_time: steps is {steps}, expected 1 or more')
    cfg = copy.deepcopy(cfg)
    cfg.log_level = 'ERROR'
    cfg.experiment_name = f'{cfg.get("experiment_name") or "training"}_steps'
    cfg.visualizer = dict(cfg.get('visualizer') or dict(type='Visualizer'), vis_backends=[])
    cfg.visualizer['name'] = cfg.experiment_name
    steps_seen = _StepClock(WARM_UP + steps)
    with tempfile.TemporaryDirectory(prefix='smallobj_mm_') as folder:
        cfg.work_dir = folder
        runner = build_runner(cfg)
        runner.register_hook(steps_seen)
        try:
            runner.train()
        except _Enough:
            pass
        total = runner.max_iters
    took = [end - start for start, end in zip(steps_seen.marks, steps_seen.marks[1:])]
    if not took:
        raise UserError(
            f'{cfg.experiment_name}: no step of training, expected one or more; see the sizes of '
            'the training set and of a batch'
        )
    return TrainingTime(int(total), statistics.median(took[WARM_UP:] or took))
