# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Random numbers that an interrupted and resumed run draws as an uninterrupted one does."""

import random
from typing import Any, Optional, Protocol

import numpy as np
import torch
from mmengine.dataset import worker_init_fn
from mmengine.dist import get_rank, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from smallobj_mm.compat.mmengine_internals import drop_workers, is_resuming
from smallobj_mm.registry import HOOKS

_KEY = 'random_state'


class _Seeded(Protocol):
    """A sampler of mmengine or mmdet that shuffles by a seed of its own."""

    seed: int


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Make the randomness of an epoch depend on (seed, epoch, process) alone, and keep its state.

    *Epoch-based training.* Before each epoch Python's, NumPy's and PyTorch's generators are seeded
    from (seed, epoch, rank). The data loader's workers are started anew for each epoch and seeded
    by PyTorch from the main process' generator and their number: worker processes that outlive
    their epoch (``persistent_workers=True``), or that mmengine seeds alike in each epoch, hold a
    state that no checkpoint can save. So a run resumed at an epoch's start, where checkpoints are
    taken, draws the same numbers.

    *Iteration-based training.* The state of the main process of rank 0 is saved in the checkpoint
    and restored; other ranks are seeded from (seed, iteration, rank). Workers start afresh, so
    what they draw differs from an uninterrupted run.

    Validation leaves the generators as it found them. The seed of the sampler is saved as well: it
    would be another one when ``randomness`` has no seed.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._loaded: Optional[dict] = None
        self._before_val: Optional[dict] = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the state out of a checkpoint that training resumes from."""
        self._loaded = checkpoint.pop(_KEY, None) if is_resuming(runner) else None

    def before_train(self, runner: Runner) -> None:
        """Restore a resumed state; give worker seeding back to PyTorch."""
        loader = runner.train_dataloader
        # mmengine's function gives a worker the same seed in each epoch; a config's own one stays.
        if getattr(loader.worker_init_fn, 'func', None) is worker_init_fn:
            loader.worker_init_fn = None
        if self._loaded is None:
            return
        sampler = _seeded_sampler(loader)
        if sampler is not None and self._loaded['sampler_seed'] is not None:
            sampler.seed = self._loaded['sampler_seed']
        if is_main_process():
            set_random_state(self._loaded)
        else:
            _seed_all(runner.seed, runner.iter, get_rank())
        self._loaded = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed this epoch, before its data loader starts."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            return
        _seed_all(runner.seed, runner.epoch, get_rank())
        drop_workers(runner.train_dataloader)

    def before_val_epoch(self, runner: Runner) -> None:
        """Keep the generators' state over validation."""
        self._before_val = get_random_state()

    def after_val_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        """Put the generators back."""
        if self._before_val is not None:
            set_random_state(self._before_val)
            self._before_val = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the state to a checkpoint."""
        sampler = _seeded_sampler(runner.train_dataloader)
        checkpoint[_KEY] = dict(get_random_state(), sampler_seed=getattr(sampler, 'seed', None))


def get_random_state() -> dict:
    """State of Python's, NumPy's, PyTorch's and CUDA's generators, as tensors and numbers."""
    version, words, gauss = random.getstate()
    numpy_state = np.random.get_state(legacy=False)
    return dict(
        python=dict(version=version, words=torch.tensor(words, dtype=torch.int64), gauss=gauss),
        numpy=dict(
            key=torch.from_numpy(numpy_state['state']['key'].astype(np.int64)),
            pos=int(numpy_state['state']['pos']),
            has_gauss=int(numpy_state['has_gauss']),
            gauss=float(numpy_state['gauss']),
        ),
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    )


def set_random_state(state: dict) -> None:
    """Put back what :func:`get_random_state` returned.

    CUDA states are restored where as many devices are present as were saved.
    """
    python, numpy_state = state['python'], state['numpy']
    random.setstate((python['version'], tuple(python['words'].tolist()), python['gauss']))
    np.random.set_state(
        dict(
            bit_generator='MT19937',
            state=dict(
                key=numpy_state['key'].cpu().numpy().astype(np.uint32), pos=numpy_state['pos']
            ),
            has_gauss=numpy_state['has_gauss'],
            gauss=numpy_state['gauss'],
        )
    )
    torch.set_rng_state(state['torch'].cpu())
    if torch.cuda.is_available() and len(state['cuda']) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state_of_device.cpu() for state_of_device in state['cuda']])


def _seed_all(seed: int, step: int, rank: int) -> None:
    """Seed the generators from three numbers, well mixed: seeds of neighbors share nothing."""
    words = np.random.SeedSequence([seed, step, rank]).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    torch.manual_seed(int(words[2]))  # every CUDA device too


def _seeded_sampler(loader: DataLoader) -> Optional[_Seeded]:
    """The sampler of a loader that has a seed, directly or inside its batch sampler."""
    samplers: tuple[Any, ...] = (loader.sampler, getattr(loader.batch_sampler, 'sampler', None))
    for sampler in samplers:
        if hasattr(sampler, 'seed'):
            return sampler
    return None
