# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""How well classes are told apart by nearest neighbors among self-supervised features."""

from collections.abc import Sized
from typing import Any, Optional, Union, cast

import torch
from mmengine.dist import broadcast_object_list, collect_results
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from smallobj_mm.registry import HOOKS
from smallobj_mm.utils.errors import UserError

_CHUNK = 1024  # queries compared at once


def knn_accuracy(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    query_labels: Tensor,
    k: int = 1,
    leave_one_out: bool = False,
) -> float:
    """Share of queries whose class is that of most of their nearest neighbors.

    Votes count exp(cosine similarity / 0.07), as in Wu et al., "Unsupervised Feature Learning via
    Non-Parametric Instance Discrimination", 2018, section 3.4.

    Args:
        bank: ``(M, C)`` features.
        bank_labels: ``(M,)`` int64.
        queries: ``(N, C)`` features.
        query_labels: ``(N,)`` int64.
        k: Neighbors; no more than the bank has are used.
        leave_one_out: The queries are the bank, and none is its own neighbor.
    """
    bank, queries = F.normalize(bank.float(), dim=1), F.normalize(queries.float(), dim=1)
    classes = int(max(bank_labels.max(), query_labels.max())) + 1
    k = min(k, len(bank) - leave_one_out)
    right = 0
    for start in range(0, len(queries), _CHUNK):
        part = queries[start : start + _CHUNK]
        similarity = part @ bank.T
        if leave_one_out:
            rows = torch.arange(len(part))
            similarity[rows, rows + start] = -torch.inf
        values, nearest = similarity.topk(k, dim=1)
        votes = torch.zeros(len(part), classes)
        votes.scatter_add_(1, bank_labels[nearest], (values / 0.07).exp())
        right += int((votes.argmax(dim=1) == query_labels[start : start + _CHUNK]).sum())
    return right / len(queries)


@HOOKS.register_module()
class KNNAccuracyHook(Hook):
    """Log the nearest-neighbor accuracy of the last stage's pooled features now and then.

    Works with every model whose ``extract_feat`` returns maps. The scalar is
    ``knn/accuracy`` over epochs; the features are those of the model in evaluation mode.

    Args:
        bank_dataloader: Labeled images among which neighbors are looked for; without
            augmentation, packed by ``PackInputs``.
        query_dataloader: Labeled images to classify; the bank's own, each without itself, when
            not given.
        interval: Epochs between evaluations; the last epoch is always evaluated.
        k: Neighbors that vote.

    Raises:
        UserError: If an option is below 1, or an image has no label.
    """

    priority = 'NORMAL'

    def __init__(
        self,
        bank_dataloader: Union[dict, DataLoader],
        query_dataloader: Union[dict, DataLoader, None] = None,
        interval: int = 10,
        k: int = 1,
    ) -> None:
        if interval < 1 or k < 1:
            raise UserError(
                f'KNNAccuracyHook: interval is {interval} and k {k}, expected 1 or more'
            )
        self.interval = interval
        self.k = k
        self._loaders: list[Any] = [bank_dataloader, query_dataloader]

    def before_train(self, runner: Runner) -> None:
        """Build the loaders now: what is missing is to be said before hours of training."""
        for i, loader in enumerate(self._loaders):
            if isinstance(loader, dict):
                defaults = dict(
                    collate_fn=dict(type='default_collate'),
                    sampler=dict(type='DefaultSampler', shuffle=False),
                )
                self._loaders[i] = runner.build_dataloader({**defaults, **loader})

    def after_train_epoch(self, runner: Runner) -> None:
        """Evaluate when it is time."""
        if not self.every_n_epochs(runner, self.interval) and not self.is_last_train_epoch(runner):
            return
        bank_loader, query_loader = self._loaders
        bank = self._features(runner, bank_loader)
        queries = bank if query_loader is None else self._features(runner, query_loader)
        shared: list[Optional[float]] = [None]
        if bank is not None and queries is not None:  # the main process has all of them
            shared = [knn_accuracy(*bank, *queries, self.k, leave_one_out=query_loader is None)]
        broadcast_object_list(shared)
        epoch = runner.epoch + 1
        runner.message_hub.update_info('knn_accuracy', shared[0])
        runner.logger.info(
            f'Epoch(knn) [{epoch}]  accuracy of {self.k} nearest neighbors: {shared[0]:.4f}'
        )
        runner.visualizer.add_scalar('knn/accuracy', shared[0], step=epoch)

    @torch.no_grad()
    def _features(self, runner: Runner, loader: DataLoader) -> Optional[tuple[Tensor, Tensor]]:
        """Pooled features and labels of a loader, on the main process; None on others."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        training = model.training
        model.eval()
        batches = []
        for batch in loader:
            data = model.data_preprocessor(batch, False)
            maps = model.extract_feat(data['inputs'])
            pooled = (maps[-1] if isinstance(maps, (tuple, list)) else maps).mean(dim=(2, 3))
            for sample, feature in zip(data['data_samples'], pooled.cpu()):
                if 'gt_label' not in sample:
                    raise UserError(
                        f'KNNAccuracyHook: {sample.get("img_path", "an image")} has no label; '
                        'expected a data set with labels (with_label=True), or take the hook out'
                    )
                batches.append((feature, int(sample.gt_label)))
        model.train(training)
        batches = collect_results(
            batches, len(cast(Sized, loader.dataset)), device='gpu'
        )  # by any backend
        if batches is None:
            return None
        features, labels = zip(*batches)
        return torch.stack(features), torch.tensor(labels)
