# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images of a config's training data, as an exported network takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, DefaultScope
from torch import Tensor

from smallobj_mm.utils.errors import UserError

from .network import ExportedNetwork


class CalibrationImages(Sequence):
    """Training images, evenly spaced over the data, as they are tested: read when asked for.

    The pipeline is that of the test data, so that no augmentation widens the ranges that are
    measured. The training data may be wrapped or be several data sets.

    Args:
        cfg: Config with ``train_dataloader`` and ``test_dataloader``.
        network: What is exported; its data preprocessor makes the inputs.
        count: Images at most.

    Raises:
        UserError: The config names no training data or no pipeline, or there are no images.
        FileNotFoundError: The data are not there.
    """

    def __init__(self, cfg: Config, network: ExportedNetwork, count: int) -> None:
        self.network = network
        self.scope = cfg.default_scope
        pipeline = _leaves((cfg.get('test_dataloader') or {}).get('dataset'))
        training = _leaves((cfg.get('train_dataloader') or {}).get('dataset'))
        if not training or not pipeline or not pipeline[0].get('pipeline'):
            raise UserError(
                'int8: the config has no train_dataloader.dataset, or no pipeline in '
                'test_dataloader.dataset, expected both: ranges are measured on training images'
            )
        with DefaultScope.overwrite_default_scope(self.scope):
            self.datasets = [
                DATASETS.build({**leaf, 'pipeline': pipeline[0]['pipeline']}) for leaf in training
            ]
        total = sum(map(len, self.datasets))
        if not total:
            raise UserError('int8: the training data have no images, expected one at least')
        self.indices = np.unique(np.linspace(0, total - 1, count).astype(int)).tolist()

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.read(self.indices[index])

    def __iter__(self) -> Iterator[Tensor]:
        return (self[index] for index in range(len(self)))

    def read(self, index: int) -> Tensor:
        """Image ``index`` of the training data, ``(1, 3, H, W)`` as the network takes it."""
        for dataset in self.datasets:
            if index < len(dataset):
                break
            index -= len(dataset)
        with DefaultScope.overwrite_default_scope(self.scope):
            data = pseudo_collate([dataset[index]])
            if self.network.with_preprocess:
                return data['inputs'][0][None]
            return self.network.model.data_preprocessor(data, False)['inputs']

    def between(self, count: int) -> list[Tensor]:
        """Up to ``count`` images that are none of these, or these where there are no others."""
        total = sum(map(len, self.datasets))
        free = np.setdiff1d(np.arange(total), self.indices)
        free = free if len(free) else np.array(self.indices)
        chosen = np.unique(np.linspace(0, len(free) - 1, count).astype(int))
        return [self.read(int(index)) for index in free[chosen]]

    def __str__(self) -> str:
        names = ' and '.join(type(dataset).__name__ for dataset in self.datasets)
        return f'{len(self)} training images of {names}'


def _leaves(dataset: Any) -> list[dict]:
    """Configs of the data sets inside of wrappers such as MultiImageMixDataset."""
    if not dataset:
        return []
    inner = dataset.get('datasets') or ([dataset['dataset']] if 'dataset' in dataset else None)
    if inner is None:
        return [dataset]
    return [leaf for part in inner for leaf in _leaves(part)]
