# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A loss that is not finite ends the run, and never reaches a checkpoint."""

from typing import Any, Optional

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from smallobj_mm.registry import HOOKS
from smallobj_mm.utils.errors import UserError


@HOOKS.register_module()
class NaNGuardHook(Hook):
    """Stop at a non-finite loss, before its gradient exists.

    A forward hook of the model sees the losses before the backward pass, so neither the weights
    nor, under DDP, those of other processes are touched. The check is one comparison of one
    scalar; on CUDA it waits for the forward pass, so ``interval`` can space it out (mmengine
    itself reads the losses back after every iteration). A model whose forward pass returns no
    losses is checked after its step instead.

    Gradients may overflow although the loss is finite. Therefore a checkpoint whose weights, or
    whose averages, are not finite is refused, and the one before it stays. The hook runs after
    all others, ``EMAHook`` included, which puts the averages into the checkpoint.

    Args:
        interval: Check the loss every so many iterations. Defaults to 1.

    Raises:
        UserError: Names the iteration, the terms and the images; or the weights.
    """

    priority = 'LOWEST'

    def __init__(self, interval: int = 1) -> None:
        if interval < 1:
            raise UserError(f'NaNGuardHook: interval is {interval}, expected 1 or more')
        self.interval = interval
        self._where: tuple = (0, 0, None)
        self._handle: RemovableHandle | None = None

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Optional[Any] = None
    ) -> None:
        """Remember which images the next losses are of, and look at them when they come."""
        self._where = (runner.epoch + 1, runner.iter + 1, data_batch)
        if self._where[1] % self.interval == 0:
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            self._handle = model.register_forward_hook(self._look_at_losses)

    def _look_at_losses(self, model: nn.Module, inputs: tuple, outputs: Any) -> None:
        """Check the losses of one forward pass; of this iteration, and not again."""
        if not isinstance(outputs, dict):
            return
        self._remove()
        self._check({name: loss for name, loss in outputs.items() if 'loss' in name})

    def _remove(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[Any] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Check the reported losses of a model whose forward pass returned none."""
        if self._handle is not None and outputs and torch.is_tensor(outputs.get('loss')):
            self._check(outputs)
        self._remove()
        self._where = (*self._where[:2], None)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to write weights that are not finite."""
        for part in ('state_dict', 'ema_state_dict'):
            for name, value in checkpoint.get(part, {}).items():
                if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                    raise UserError(
                        f'iteration {runner.iter}: the weights are not finite ({part}: {name}), '
                        'no checkpoint is written and the last one stays; lower the learning rate '
                        'or clip gradients, then resume'
                    )

    def _check(self, terms: dict) -> None:
        """Raise where a term is not finite.

        Raises:
            UserError: Names the iteration, the terms and the images.
        """
        sums = {name: _sum(value) for name, value in terms.items()}
        total = torch.stack([value.float() for value in sums.values()]).sum() if sums else None
        if total is None or bool(torch.isfinite(total)):
            return
        epoch, iteration, data_batch = self._where
        values = ', '.join(f'{name}={float(value):g}' for name, value in sums.items())
        raise UserError(
            f'epoch {epoch}, iteration {iteration}: the loss is not finite ({values}) for the '
            f'images {", ".join(image_names(data_batch))}; the weights are those before this '
            'iteration, check these images and boxes or lower the learning rate, then resume'
        )


def _sum(loss: Any) -> Tensor:
    """A term of the losses as one number: mmengine takes tensors of any shape and lists of them."""
    if isinstance(loss, (list, tuple)):
        return torch.stack([_sum(part) for part in loss]).sum()
    return torch.as_tensor(loss).detach().mean()


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
