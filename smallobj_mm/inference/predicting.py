# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Prepared images through a network, with or without test-time augmentation."""

from __future__ import annotations

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel, BaseTTAModel
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import BaseDataElement
from torch import Tensor


class Predictor:
    """A network that takes what an ``ImagePreparer`` gives.

    Args:
        model: The network.
        cfg: Its config.
        tta_model: Config of the model that merges the views of an image; None where the
            preparer makes no views.
    """

    def __init__(self, model: BaseModel, cfg: Config, tta_model: dict | None = None) -> None:
        self.model = model
        self._scope = cfg.default_scope
        self._tta: BaseTTAModel | None = None
        if tta_model is not None:
            with DefaultScope.overwrite_default_scope(self._scope):
                self._tta = MODELS.build(dict(tta_model, module=model))

    @torch.no_grad()
    def __call__(self, items: list[dict]) -> list[BaseDataElement]:
        """Predict images of one size.

        Args:
            items: What the preparer gave for each.

        Returns:
            The sample of each, in pixels of the image as it was before the pipeline.
        """
        with DefaultScope.overwrite_default_scope(self._scope):
            data = pseudo_collate(items)
            if self._tta is None:
                return self._forward(data)
            pairs = zip(data['inputs'], data['data_samples'])
            views = [self._forward(dict(inputs=i, data_samples=s)) for i, s in pairs]
            return self._tta.merge_preds(list(zip(*views)))

    def _forward(self, data: dict) -> list[BaseDataElement]:
        data = self.model.data_preprocessor(data, False)
        inputs = data['inputs'].contiguous(memory_format=torch.channels_last)
        return self.model(inputs, data['data_samples'], mode='predict')


def input_shapes(item: dict) -> list[tuple[int, ...]]:
    """Shape of the input of each view of a prepared image."""
    inputs = item['inputs']
    return [tuple(view.shape) for view in ([inputs] if isinstance(inputs, Tensor) else inputs)]
