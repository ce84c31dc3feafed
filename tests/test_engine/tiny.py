# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A model and a data set small enough to train in a second, with every source of randomness."""

import itertools
import random
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import Dataset

import smallobj_mm.engine  # noqa: F401  registers the hooks

ROOT = Path(__file__).resolve().parents[2]
_RUN = itertools.count()


class TinyModel(BaseModel):
    """Convolution, BN, dropout, linear; ``poison_at`` makes the loss of one iteration NaN."""

    def __init__(self, poison_at: int = -1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 1)
        self.poison_at = poison_at
        self.calls = 0

    def forward(self, inputs: Any, data_samples: Optional[list] = None, mode: str = 'loss') -> Any:
        images = torch.stack(list(inputs))
        features = nn.functional.dropout(
            self.norm(self.conv(images)).mean((2, 3)), 0.3, self.training
        )
        error = self.linear(features).float()
        if mode != 'loss':
            return error
        self.calls += 1
        bad = float('nan') if self.calls == self.poison_at else 1.0
        return dict(loss_square=(error - 1).square().mean() * bad, loss_abs=error.abs().mean())


class NoisyImages(Dataset):
    """Images that depend on Python's, NumPy's and PyTorch's generators."""

    def __init__(self, length: int = 16) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        level = index + random.random() + np.random.rand()
        sample = BaseDataElement(metainfo=dict(img_path=f'image_{index}.png'))
        return dict(inputs=torch.rand(1, 8, 8) * level, data_samples=sample)


class TinyMetric(BaseMetric):
    """The mean prediction; draws a random number, as a metric may."""

    default_prefix = 'tiny'

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.extend(float(one) for one in data_samples)

    def compute_metrics(self, results: list) -> dict:
        np.random.rand()
        return dict(score=float(np.mean(results)))


def loader(batch_size: int = 4, num_workers: int = 0, shuffle: bool = True) -> dict:
    return dict(
        batch_size=batch_size,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        sampler=dict(type='DefaultSampler', shuffle=shuffle),
        dataset=NoisyImages(),
        collate_fn=dict(type=pseudo_collate),
    )


def build_runner(
    work_dir: Path,
    max_epochs: int = 4,
    num_workers: int = 0,
    resume: bool = False,
    accumulative_counts: int = 1,
    model: Optional[nn.Module] = None,
    seed: Optional[int] = 0,
    hooks: tuple = (),
    validate: bool = True,
    averaging: Optional[dict] = None,
) -> Runner:
    """A runner with the shipped schedule and the shipped hooks, for the tiny model."""
    recipe = Config.fromfile(ROOT / 'configs/_base_/schedules/obsdm_300e.py')
    runtime = Config.fromfile(
        ROOT / 'configs/_base_/runtime/default_runtime_det.py', import_custom_modules=False
    )
    recipe.train_cfg.update(max_epochs=max_epochs, val_interval=1)
    recipe.optim_wrapper.accumulative_counts = accumulative_counts
    ema = next(hook for hook in recipe.custom_hooks if hook.type == 'StepEMAHook')
    ema.update(ema_type='MomentumAnnealingEMA', momentum=0.1, gamma=2)  # mmengine's: no mmdet
    ema.update(averaging or {})
    default_hooks = runtime.default_hooks
    default_hooks.pop('visualization')  # detections only
    default_hooks.checkpoint.update(save_best='tiny/score' if validate else None)
    val = (
        dict(
            val_dataloader=loader(shuffle=False),
            val_cfg=recipe.val_cfg,
            val_evaluator=[TinyMetric()],
        )
        if validate
        else {}
    )
    if seed is None:
        runtime.randomness = dict(seed=None)
    return Runner(
        model=model or TinyModel(),
        work_dir=str(work_dir),
        train_dataloader=loader(num_workers=num_workers),
        train_cfg=recipe.train_cfg,
        optim_wrapper=recipe.optim_wrapper,
        param_scheduler=recipe.param_scheduler,
        default_hooks=default_hooks,
        custom_hooks=[*recipe.custom_hooks, *hooks],
        randomness=runtime.randomness,
        resume=resume,
        log_level='WARNING',
        default_scope='mmengine',
        experiment_name=f'tiny_{next(_RUN)}',
        **val,
    )
