# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Whether self-supervised features still differ from image to image."""

import logging
import math
from typing import Any, NamedTuple, Optional

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.nn import functional as F

from smallobj_mm.engine.hooks.training_checks import check_batches
from smallobj_mm.registry import HOOKS
from smallobj_mm.utils.errors import UserError


class Spread(NamedTuple):
    """How the features of a batch lie.

    Attributes:
        spread: Standard deviation of the normalized features, times the square root of their
            dimension: 1 if they point everywhere, 0 if all are the same.
        positive: Mean cosine similarity of two views of an image.
        other: Mean cosine similarity of views of different images.
    """

    spread: float
    positive: float
    other: float


def measure(first: Tensor, second: Tensor) -> Spread:
    """Spread and similarities of two views' features.

    Source: Chen and He, SimSiam, 2021, section 4.1.

    Args:
        first: ``(N, C)``, N at least 2.
        second: ``(N, C)``, of the same images.
    """
    a, b = (F.normalize(x.detach().float(), dim=1) for x in (first, second))
    n, channels = a.shape
    same = (a * b).sum()
    every = a.sum(dim=0) @ b.sum(dim=0)
    return Spread(
        spread=a.std(dim=0, unbiased=False).mean().item() * math.sqrt(channels),
        positive=same.item() / n,
        other=(every - same).item() / (n * (n - 1)),
    )


@HOOKS.register_module()
class FeatureSpreadHook(Hook):
    """Log spread and similarities of the projections of each stage; warn when they collapse.

    The scalars ``spread_stageI``, ``positive_stageI`` and ``other_stageI`` go the way of the
    losses: log, JSON, TensorBoard. Works with every model of mmpretrain that calls its neck for
    the first view, then for the second (SimSiam, BYOL's online half, DetSim); the neck gives a
    vector for each stage.

    Args:
        interval: Iterations between measurements. An epoch, or a run, that ends before its first
            one is measured at its last batch, so that short runs show their spread as well.
        collapsed_below: Spread under which features count as collapsed.
        patience: Measurements in a row under it before the warning.

    Raises:
        UserError: If an option is out of its range; in training, if an epoch has no batch.
    """

    priority = 'NORMAL'  # before the logger's

    def __init__(self, interval: int = 50, collapsed_below: float = 0.1, patience: int = 3) -> None:
        if interval < 1 or patience < 1 or not 0 <= collapsed_below <= 1:
            raise UserError(
                f'FeatureSpreadHook: interval is {interval}, patience {patience}, collapsed_below '
                f'{collapsed_below}, expected 1 or more, 1 or more, and a spread in [0, 1]'
            )
        self.interval = interval
        self.collapsed_below = collapsed_below
        self.patience = patience
        self._measured = False  # in this epoch
        self._captured: Optional[list[tuple[Tensor, ...]]] = None
        self._low: dict[int, int] = {}
        self._handle: Optional[torch.utils.hooks.RemovableHandle] = None

    def before_train(self, runner: Runner) -> None:
        """Listen to the neck; an epoch without a batch would pass for training."""
        check_batches(runner.train_dataloader)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._handle = model.neck.register_forward_hook(self._capture)

    def after_train(self, runner: Runner) -> None:
        """Stop listening."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Nothing is measured yet."""
        self._measured = False

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Optional[Any] = None
    ) -> None:
        """Keep the features of this iteration if it is one to measure."""
        last = self.end_of_epoch(runner.train_dataloader, batch_idx)
        last = last or self.is_last_train_iter(runner)
        due = (runner.iter + 1) % self.interval == 0 or (last and not self._measured)
        self._captured = [] if due else None

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[Any] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Measure and log."""
        captured, self._captured = self._captured, None
        if not captured or len(captured) < 2 or len(captured[0][0]) < 2:
            return
        self._measured = True
        for i, (first, second) in enumerate(zip(*captured[:2]), start=1):
            values = measure(first, second)
            for name, value in values._asdict().items():
                runner.message_hub.update_scalar(f'train/{name}_stage{i}', value)
            self._watch(runner, i, values)

    def _capture(self, module: torch.nn.Module, args: tuple, output: tuple[Tensor, ...]) -> None:
        if self._captured is not None and len(self._captured) < 2:
            self._captured.append(tuple(part.detach() for part in output))

    def _watch(self, runner: Runner, stage: int, values: Spread) -> None:
        low = values.spread < self.collapsed_below
        self._low[stage] = self._low.get(stage, 0) + 1 if low else 0
        if self._low[stage] == self.patience:
            print_log(
                f'iteration {runner.iter + 1}: the features of stage {stage} have collapsed: '
                f'spread {values.spread:.3f} (1: all directions, 0: all images alike), similarity '
                f'of different images {values.other:.3f}; lower the learning rate, enlarge the '
                'batch or check that the images differ',
                logger='current',
                level=logging.WARNING,
            )
