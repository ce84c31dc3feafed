# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Weight decay in proportion to the images of an optimizer step."""

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from smallobj_mm.compat.mmengine_internals import accumulative_counts
from smallobj_mm.registry import HOOKS
from smallobj_mm.utils.errors import UserError

_NOMINAL = 'nominal_weight_decay'


@HOOKS.register_module()
class BatchScaledWeightDecayHook(Hook):
    """Multiply weight decay by (images of an optimizer step) / (nominal batch).

    Images of a step = batch size of the train loader × processes × ``accumulative_counts``. The
    batch size is taken from the loader, so that it cannot disagree with what a config or
    ``--cfg-options`` says elsewhere. The decay of the config is kept in each parameter group:
    resuming, also with another batch size, does not scale twice.

    Args:
        base_total_batch_size: The nominal batch, at which the decay is as written.

    Raises:
        UserError: ``base_total_batch_size`` is less than 1.
    """

    priority = 'NORMAL'

    def __init__(self, base_total_batch_size: int = 64) -> None:
        if base_total_batch_size < 1:
            raise UserError(
                'BatchScaledWeightDecayHook: base_total_batch_size is '
                f'{base_total_batch_size}, expected 1 or more'
            )
        self.base_total_batch_size = base_total_batch_size

    def before_train(self, runner: Runner) -> None:
        """Scale every group, also after resuming."""
        wrapper = runner.optim_wrapper
        accumulated = accumulative_counts(wrapper)
        total = runner.train_dataloader.batch_sampler.batch_size * get_world_size() * accumulated
        factor = total / self.base_total_batch_size
        for group in wrapper.optimizer.param_groups:
            group.setdefault(_NOMINAL, group['weight_decay'])
            group['weight_decay'] = group[_NOMINAL] * factor
        runner.logger.info(
            f'Weight decay is scaled by {factor:g}: {total} images a step, nominal '
            f'{self.base_total_batch_size}'
        )
