# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From which checkpoint training goes on, and whether it can."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.optim import OptimWrapper
from mmengine.runner import Runner, find_latest_checkpoint

from smallobj_mm.checkpoints.state_dict import fitting_state
from smallobj_mm.engine.hooks.random_state import get_random_state, set_random_state
from smallobj_mm.utils.errors import UserError

#: What a damaged random state makes the generators raise.
_DAMAGED = (KeyError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError)
#: Settings of an optimizer by which one kind is told from another.
_KINDS = ('betas', 'momentum', 'rho', 'lr_decay', 'alpha')


def latest_checkpoint(work_dir: str) -> str | None:
    """The last complete checkpoint of a work-dir, which may have been moved since.

    Args:
        work_dir: Of a run.

    Returns:
        Its path; None if there was no run.

    Raises:
        FileNotFoundError: It is not there any more.
        UserError: ``last_checkpoint`` names none.
    """
    pointer = Path(work_dir, 'last_checkpoint')
    if not pointer.exists():
        return None
    try:
        named = find_latest_checkpoint(work_dir)
    except UnicodeDecodeError:
        named = None
    if not named or '\n' in named:
        raise UserError(
            f'{pointer}: {"empty" if named == "" else "damaged"}, expected the path of a '
            'checkpoint; give one as --resume PATH'
        )
    beside = pointer.with_name(Path(named).name)
    for path in (named, str(beside)):
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(
        f'{named}: no such file, {pointer} names it; give another checkpoint as --resume PATH'
    )


def check_resumable(checkpoint: Mapping, runner: Runner, source: str) -> None:
    """Refuse a checkpoint that training cannot go on from, before anything of it is taken over.

    Args:
        checkpoint: What the file holds.
        runner: With its model and its optimizer built.
        source: Name of the file, for messages.

    Raises:
        UserError: It is of another model or optimizer, holds weights alone, or is damaged.
    """
    fitting_state(runner.model, checkpoint, source)
    meta = checkpoint.get('meta')
    counts = [meta.get(key) if isinstance(meta, Mapping) else None for key in ('epoch', 'iter')]
    parts = [key for key in ('optimizer', 'message_hub') if not _is_mapping(checkpoint, key)]
    if not all(isinstance(count, int) and count >= 0 for count in counts) or parts:
        what = ' and '.join(parts) if parts else 'meta.epoch and meta.iter'
        raise UserError(
            f'{source}: holds no {what}, expected a checkpoint of a training (epoch_*.pth of a '
            f'work-dir); to begin with its weights: --cfg-options load_from={source}'
        )
    if isinstance(runner.optim_wrapper, OptimWrapper):
        _check_optimizer(checkpoint['optimizer'], runner.optim_wrapper, source)
    if 'random_state' in checkpoint:
        _check_random_state(checkpoint['random_state'], source)


def _is_mapping(checkpoint: Mapping, key: str) -> bool:
    return isinstance(checkpoint.get(key), Mapping)


def _check_optimizer(state: Mapping, wrapper: OptimWrapper, source: str) -> None:
    groups = state.get('param_groups')
    own = wrapper.optimizer.state_dict()['param_groups']
    if not isinstance(groups, list) or not all(_is_group(group) for group in groups):
        raise UserError(f'{source}: its optimizer is damaged; resume from another checkpoint')
    sizes = [[len(group['params']) for group in some] for some in (groups, own)]
    kinds = [{key for key in _KINDS for group in some if key in group} for some in (groups, own)]
    if sizes[0] != sizes[1] or kinds[0] != kinds[1]:
        raise UserError(
            f'{source}: its optimizer has {len(groups)} groups of {sum(sizes[0])} weights '
            f'({", ".join(sorted(kinds[0]))}), expected {len(own)} of {sum(sizes[1])} '
            f'({", ".join(sorted(kinds[1]))}) as of optim_wrapper; resume with the config that it '
            f'was trained with, or begin with its weights: --cfg-options load_from={source}'
        )


def _is_group(group: Any) -> bool:
    return isinstance(group, Mapping) and isinstance(group.get('params'), list)


def _check_random_state(state: Any, source: str) -> None:
    before = get_random_state()
    try:
        set_random_state(state)
        if not isinstance(state['sampler_seed'], (int, type(None))):
            raise TypeError('sampler_seed is no number')
    except _DAMAGED as error:
        raise UserError(
            f'{source}: its random_state is damaged ({type(error).__name__}: {error}); resume from '
            f'another checkpoint, or begin with its weights: --cfg-options load_from={source}'
        ) from None
    finally:
        set_random_state(before)
