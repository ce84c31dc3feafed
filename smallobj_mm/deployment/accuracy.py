# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The metrics of a config before and after a change of its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, DefaultScope

from smallobj_mm.utils.errors import UserError

#: Metrics that are compared, by the last part of their name; the first one decides.
MAIN_METRICS = ('AP', 'AP50', 'bbox_mAP', 'bbox_mAP_50', 'mAP', 'IoU', 'nIoU', 'mIoU')


def evaluate(cfg: Config, models: Sequence[BaseModel]) -> list[dict[str, float]]:
    """Metrics of several models on the config's test data, image by image.

    Args:
        cfg: Config with ``test_dataloader`` and ``test_evaluator``.
        models: In evaluation mode; they see the same images.

    Returns:
        The metrics of each.

    Raises:
        UserError: The config has no test data or no evaluator.
        FileNotFoundError: The data are not there.
    """
    dataset = (cfg.get('test_dataloader') or {}).get('dataset')
    if not dataset or not cfg.get('test_evaluator'):
        raise UserError(
            'metrics: the config has no test_dataloader.dataset or no test_evaluator, expected both'
        )
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        data = DATASETS.build(dataset)
        evaluators = [Evaluator(cfg.test_evaluator) for _ in models]
        for evaluator in evaluators:
            evaluator.dataset_meta = data.metainfo
        for index in range(len(data)):
            batch = pseudo_collate([data[index]])
            for model, evaluator in zip(models, evaluators):
                with torch.no_grad():
                    evaluator.process(model.test_step(batch), batch)
        return [evaluator.evaluate(len(data)) for evaluator in evaluators]


def accuracy_table(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """The main metrics of each model in points, and the difference from the first model.

    Args:
        metrics: Name of a model -> its metrics as :func:`evaluate` gives them, between 0 and 1.

    Returns:
        A line for each metric.
    """
    names = list(metrics)
    first = metrics[names[0]]
    lines = [f'{"points":<22}' + ''.join(f'{name:>22}' for name in names)]
    for key in first:
        if key.split('/')[-1] in MAIN_METRICS:
            values = [100 * float(metrics[name][key]) for name in names]
            cells = [f'{values[0]:.2f}', *(f'{v:.2f} ({v - values[0]:+.2f})' for v in values[1:])]
            lines.append(f'{key:<22}' + ''.join(f'{cell:>22}' for cell in cells))
    return '\n'.join(lines)
