# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A loss that is not finite ends the run, and never reaches a checkpoint."""

from functools import wraps
from typing import Any, Optional

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from smallobj_mm.registry import HOOKS


@HOOKS.register_module()
class NaNGuardHook(Hook):
    """Stop at a non-finite loss, before its gradient exists.

    ``model.parse_losses``, which every OpenMMLab model calls between forward and backward, is
    wrapped: the sum of the losses is checked there, so neither the weights nor, under DDP, those
    of other processes are touched. The check is one comparison of one scalar; on CUDA it waits for
    the forward pass, so ``interval`` can space it out (mmengine itself reads the losses back after
    every iteration). A model without ``parse_losses`` is checked after its step instead.

    Gradients may overflow although the loss is finite. Therefore a checkpoint whose weights are
    not finite is refused, and the one before it stays.

    Args:
        interval: Check the loss every so many iterations. Defaults to 1.

    Raises:
        FloatingPointError: Names the iteration, the terms and the images; or the weights.
    """

    priority = 'VERY_HIGH'

    def __init__(self, interval: int = 1) -> None:
        if interval < 1:
            raise ValueError(f'NaNGuardHook: interval is {interval}, expected 1 or more')
        self.interval = interval
        self._where: tuple = (0, 0, None)
        self._unwrapped: Optional[torch.nn.Module] = None

    def before_train(self, runner: Runner) -> None:
        """Put the check between forward and backward."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        original = getattr(model, 'parse_losses', None)
        if original is None:
            return

        @wraps(original)
        def parse_losses(losses: dict) -> tuple[Tensor, dict]:
            total, terms = original(losses)
            self._check(total, terms)
            return total, terms

        model.parse_losses = parse_losses
        self._unwrapped = model

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Optional[Any] = None
    ) -> None:
        """Remember which images the next loss is of."""
        self._where = (runner.epoch + 1, runner.iter + 1, data_batch)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[Any] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Check the reported losses of a model that has no ``parse_losses``."""
        if self._unwrapped is None and outputs and torch.is_tensor(outputs.get('loss')):
            self._check(outputs['loss'], outputs)
        self._where = (*self._where[:2], None)

    def after_train(self, runner: Runner) -> None:
        """Take the check off again."""
        if self._unwrapped is not None:
            del self._unwrapped.parse_losses
            self._unwrapped = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to write weights that are not finite."""
        for part in ('state_dict', 'ema_state_dict'):
            for name, value in checkpoint.get(part, {}).items():
                if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                    raise FloatingPointError(
                        f'iteration {runner.iter}: the weights are not finite ({part}: {name}), '
                        'no checkpoint is written and the last one stays; lower the learning rate '
                        'or clip gradients, then resume'
                    )

    def _check(self, total: Tensor, terms: dict) -> None:
        epoch, iteration, data_batch = self._where
        if iteration % self.interval or bool(torch.isfinite(total).all()):
            return
        values = ', '.join(
            f'{name}={float(torch.as_tensor(value).detach()):g}' for name, value in terms.items()
        )
        raise FloatingPointError(
            f'epoch {epoch}, iteration {iteration}: the loss is not finite ({values}) for the '
            f'images {", ".join(image_names(data_batch))}; the weights are those before this '
            'iteration, check these images and boxes or lower the learning rate, then resume'
        )


def image_names(data_batch: Any) -> list[str]:
    """Paths of the images of a batch, else their ids, else how many there are.

    Args:
        data_batch: What the data loader gave: ``dict(inputs=..., data_samples=[...])``.
    """
    samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else None
    if not isinstance(samples, (list, tuple)) or not samples:
        return ['(the batch does not name them)']
    names = []
    for position, sample in enumerate(samples):
        meta = getattr(sample, 'metainfo', {})
        names.append(str(meta.get('img_path', meta.get('img_id', f'#{position} of the batch'))))
    return names
