# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The recipe's schedules: a warm-up by groups, then a one-cycle cosine.

As stock parameter schedulers they are stepped by mmengine's ``ParamSchedulerHook`` and saved and
resumed with each checkpoint. Both are stated in epochs and converted to iterations
(``convert_to_iter_based=True``), because the warm-up has a least number of iterations.
"""

import math
from typing import Any

from mmengine.optim import OptimWrapper
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.momentum_scheduler import MomentumSchedulerMixin

from smallobj_mm.compat.mmengine_internals import ParamScheduler
from smallobj_mm.registry import PARAM_SCHEDULERS
from smallobj_mm.utils.errors import UserError

from ..optim.constructor import BIASES


def warmup_length(
    epoch_length: int,
    total_iters: int,
    warmup_epochs: float,
    min_warmup_iters: int,
    max_fraction: float,
) -> int:
    """Iterations of the warm-up.

    Args:
        epoch_length: Iterations an epoch.
        total_iters: Iterations of the whole run.
        warmup_epochs: Epochs the warm-up should take.
        min_warmup_iters: Iterations it should take at least.
        max_fraction: Part of the run it takes at most, in (0, 1]: a short run (a demo, a few
            hundred iterations) would otherwise never leave the warm-up.

    Returns:
        The number of iterations, at least 1.
    """
    wanted = max(round(warmup_epochs * epoch_length), min_warmup_iters)
    return max(1, min(wanted, int(total_iters * max_fraction)))


class _WarmupFromEpochs(ParamScheduler):
    """What both schedules share: built from epochs, counted in iterations."""

    def __init__(
        self,
        optimizer: OptimWrapper,
        *,
        end: int,
        warmup_epochs: float = 3,
        min_warmup_iters: int = 1000,
        max_fraction: float = 0.2,
        begin: int = 0,
        by_epoch: bool = True,
        epoch_length: int | None = None,
        last_step: int = -1,
        verbose: bool = False,
    ) -> None:
        name = type(self).__name__
        if by_epoch or epoch_length is None:
            raise UserError(
                f'{name}: by_epoch without convert_to_iter_based, but its warm-up '
                'counts iterations: set by_epoch=True, convert_to_iter_based=True'
            )
        if epoch_length < 1:
            raise UserError(
                f'{name}: an epoch has {epoch_length} batches, expected one or more; lower '
                'batch_size or give more images'
            )
        if begin != 0:
            raise UserError(f'{name}: begin is {begin}, expected 0: it covers the whole run')
        if not 0 < max_fraction <= 1:
            raise UserError(f'{name}: max_fraction is {max_fraction}, expected 0 < x <= 1')
        self.total_iters = end
        self.warmup_iters = warmup_length(
            epoch_length, end, warmup_epochs, min_warmup_iters, max_fraction
        )
        super().__init__(
            optimizer, begin=0, end=end, by_epoch=False, last_step=last_step, verbose=verbose
        )

    @classmethod
    def build_iter_from_epoch(
        cls,
        *args: Any,
        begin: int = 0,
        end: int,
        by_epoch: bool = True,
        epoch_length: int,
        **options: Any,
    ) -> '_WarmupFromEpochs':
        """mmengine's hook for ``convert_to_iter_based=True``; ``end`` (epochs) is the run's."""
        if not by_epoch:
            raise UserError(f'{cls.__name__}: by_epoch is False, expected True')
        return cls(
            *args,
            begin=begin,
            end=int(end * epoch_length),
            by_epoch=False,
            epoch_length=epoch_length,
            **options,
        )

    def _warmed(self) -> float:
        """How much of the warm-up is done, 0 to 1."""
        return min(1.0, self.last_step / self.warmup_iters)


@PARAM_SCHEDULERS.register_module()
class WarmupOneCycleLR(_WarmupFromEpochs, LRSchedulerMixin, ParamScheduler):
    """Learning rate: one half cosine over the whole run, under a linear warm-up.

    With t of T iterations done, the cosine gives
    ``c(t) = lr * (final + (1 - final) * (1 + cos(pi t / T)) / 2)``. During the warm-up the value
    goes linearly from the start value to ``c(t)``: from 0 for weights, from ``bias_start`` (an
    absolute rate, above ``lr``) for the group ``biases`` of
    :class:`DecayGroupsOptimWrapperConstructor`; a group without that name is taken for weights.

    The warm-up counts batches, also where ``accumulative_counts`` batches make one step.

    Args:
        optimizer: The optimizer wrapper.
        end: Epochs of the run; the runner sets it.
        warmup_epochs: Epochs of warm-up. Defaults to 3.
        min_warmup_iters: Iterations of warm-up at least. Defaults to 1000.
        max_fraction: Part of the run that the warm-up takes at most. Defaults to 0.2; the recipe's
            own length is kept when the run has 5000 iterations or more.
        bias_start: Learning rate of the biases at iteration 0. Defaults to 0.1.
        final_factor: Last learning rate over the first. Defaults to 0.1.
        begin: Must be 0.
        by_epoch: Must be True in a config, with ``convert_to_iter_based=True``.
        epoch_length: Iterations an epoch; set by the runner.
        last_step: As in :class:`mmengine.optim.ParamScheduler`.
        verbose: Whether to print each value.

    Raises:
        UserError: An argument out of range, or not converted to iterations.
    """

    def __init__(
        self,
        optimizer: OptimWrapper,
        *,
        bias_start: float = 0.1,
        final_factor: float = 0.1,
        **options: Any,
    ) -> None:
        self.bias_start = bias_start
        self.final_factor = final_factor
        super().__init__(optimizer, **options)

    def _get_value(self) -> list[float]:
        """The learning rate of each group at ``last_step``."""
        cosine = (1 + math.cos(math.pi * min(1.0, self.last_step / self.total_iters))) / 2
        factor = self.final_factor + (1 - self.final_factor) * cosine
        warmed = self._warmed()
        values = []
        for group, base in zip(self.optimizer.param_groups, self.base_values):
            start = self.bias_start if group.get('name') == BIASES else 0.0
            values.append(start + (base * factor - start) * warmed)
        return values


@PARAM_SCHEDULERS.register_module()
class WarmupMomentum(_WarmupFromEpochs, MomentumSchedulerMixin, ParamScheduler):
    """Momentum (or Adam's first beta): linearly from ``start`` to the optimizer's own.

    Args:
        optimizer: The optimizer wrapper.
        end: Epochs of the run; the runner sets it.
        warmup_epochs: Epochs of warm-up. Defaults to 3.
        min_warmup_iters: Iterations of warm-up at least. Defaults to 1000.
        max_fraction: Part of the run that the warm-up takes at most. Defaults to 0.2.
        start: Momentum at iteration 0. Defaults to 0.8.
        begin: Must be 0.
        by_epoch: Must be True in a config, with ``convert_to_iter_based=True``.
        epoch_length: Iterations an epoch; set by the runner.
        last_step: As in :class:`mmengine.optim.ParamScheduler`.
        verbose: Whether to print each value.

    Raises:
        UserError: An argument out of range, or not converted to iterations.
    """

    def __init__(
        self,
        optimizer: OptimWrapper,
        *,
        start: float = 0.8,
        **options: Any,
    ) -> None:
        self.start = start
        super().__init__(optimizer, **options)

    def _get_value(self) -> list[float]:
        """The momentum of each group at ``last_step``."""
        warmed = self._warmed()
        return [self.start + (base - self.start) * warmed for base in self.base_values]
