# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The smallest task that the tools can train and test, for the tests of the tools."""

import json
import os
import signal
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Union

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import Dataset


@DATASETS.register_module()
class ToyDataset(Dataset):
    """Numbered vectors and their sums; ``length`` 0 stands for data that are not there."""

    def __init__(self, length: int) -> None:
        if length == 0:
            raise FileNotFoundError(
                'ToyDataset: no images in data/toy;\nit comes from nowhere (see the README)'
            )
        random = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(length, 4, generator=random)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> Dict[str, Union[int, Tensor]]:
        return dict(inputs=self.inputs[index], target=self.inputs[index].sum(), index=index)


@MODELS.register_module()
class ToyModel(BaseModel):
    """One linear layer behind a normalization."""

    def __init__(self, norm_cfg: dict) -> None:
        super().__init__()
        kind = {'SyncBN': nn.SyncBatchNorm, 'BN': nn.BatchNorm1d}[norm_cfg['type']]
        self.norm = kind(4)
        self.linear = nn.Linear(4, 1)

    def forward(
        self, inputs: List[Tensor], target: List[Tensor], index: List[int], mode: str = 'tensor'
    ) -> Union[Tensor, Dict[str, Tensor], List[int]]:
        if mode == 'predict':
            return [dict(index=int(one)) for one in index]
        inputs, target = torch.stack(list(inputs)), torch.stack(list(target))
        output = self.linear(self.norm(inputs))[:, 0]
        return dict(loss=(output - target).square().mean()) if mode == 'loss' else output


@METRICS.register_module()
class CountMetric(BaseMetric):
    """Which images were evaluated, by a field that numbers them."""

    def __init__(self, field: str = 'index', prefix: str = 'count') -> None:
        super().__init__(prefix=prefix)
        self.field = field

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        self.results.extend(sample[self.field] for sample in data_samples)

    def compute_metrics(self, results: list) -> Dict[str, int]:
        return dict(counted=len(results), distinct=len(set(results)))


@HOOKS.register_module()
class KillOnceHook(Hook):
    """The second process of a run is killed in the second epoch, the first time it comes there."""

    def after_train_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        marker = Path(runner.work_dir) / 'killed'
        if get_rank() == 1 and runner.epoch == 1 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module()
class WitnessHook(Hook):
    """Leave in the work-dir what each process ended with."""

    def after_train(self, runner: Runner) -> None:
        model = getattr(runner.model, 'module', runner.model)
        folder = Path(runner.work_dir)
        torch.save(model.state_dict(), folder / f'rank{get_rank()}.pt')
        synchronized = any(isinstance(module, nn.SyncBatchNorm) for module in model.modules())
        facts = dict(world=get_world_size(), epoch=runner.epoch, sync_bn=synchronized)
        (folder / f'rank{get_rank()}.json').write_text(json.dumps(facts))

    def after_val_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        if get_rank() == 0:
            (Path(runner.work_dir) / 'val.json').write_text(json.dumps(metrics))

    def after_test_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        if get_rank() == 0:
            (Path(runner.work_dir) / 'test.json').write_text(json.dumps(metrics))
