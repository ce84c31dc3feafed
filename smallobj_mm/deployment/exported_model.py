# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Models whose network runs from an exported file, and everything else from the config."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from smallobj_mm.deployment.backends import Backend, file_format, load_backend
from smallobj_mm.deployment.metadata import ExportInfo, head_signature, unflatten
from smallobj_mm.deployment.preprocess import input_format
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.sync_bn import disable_sync_bn_on_cpu


class _PassOn(nn.Module):
    """Stands where the backbone was: the images themselves are the features."""

    def forward(self, inputs: Tensor) -> Tensor:
        """The input."""
        return inputs


def is_exported(path: Path) -> bool:
    """Whether a file of weights is an exported network, by its ending."""
    return file_format(path) is not None


def build_exported(
    cfg: Config, path: Path, device: str | torch.device, threads: int | None = None
) -> tuple[BaseModel, dict[str, Any]]:
    """A model whose network is an exported file.

    Its data preprocessor, the reading of the raw maps and all thresholds are those of the config;
    backbone and neck are not there, and the head's own layers are not used.

    Args:
        cfg: Config with ``default_scope``; changed where the machine asks for it.
        path: .onnx, .xml or .torchscript, exported without pre- and post-processing.
        device: Where the file's network runs.
        threads: Of the file's network on the CPU; None leaves it to what runs it.

    Returns:
        The model in evaluation mode, and the classes that the file names.

    Raises:
        MissingPackageError: The package that runs the file is not installed.
        UserError: It does not support the device.
        UserError: The file is of another model, or was exported with pre- or post-processing.
    """
    backend = load_backend(path, device, threads)
    _check_options(backend.info, path)
    own = head_signature(cfg.model)
    if (backend.info.scope, backend.info.head) != (cfg.default_scope, own):
        key = next((k for k in own if own[k] != backend.info.head.get(k)), 'default_scope')
        raise UserError(
            f'{path}: exported from {backend.info.config}, whose {key} is not that of the config; '
            'give the config that it was exported from'
        )
    disable_sync_bn_on_cpu(cfg)
    if cfg.get('data_preprocessor') is not None:
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    name = 'bbox_head' if cfg.default_scope == 'mmdet' else 'decode_head'
    settings = copy.deepcopy(cfg.model)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        head = settings.get(name)
        kind = head.get('type') if isinstance(head, dict) else None
        if isinstance(kind, str):
            with MODELS.switch_scope_and_registry(None) as registry:
                kind = registry.get(kind)
        if kind is None or not hasattr(kind, 'predict_by_feat'):
            raise UserError(
                f'{path}: the model of the config has no {name} that reads raw maps, expected a '
                'single-stage detector or a segmentor; give a checkpoint instead'
            )
        settings[name].type = _reading(kind)
        model = MODELS.build(settings).eval()
    form, expected = input_format(model.data_preprocessor), backend.info
    for key, value in form._asdict().items():
        if value != getattr(expected, key):
            raise UserError(
                f'{path}: exported with {key}={getattr(expected, key)}, the data_preprocessor of '
                f'the config has {value}; give the config that it was exported from'
            )
    model.backbone = _PassOn()
    if getattr(model, 'neck', None) is not None:
        model.neck = _PassOn()
    head = getattr(model, name)
    if hasattr(head, 'head_module'):
        head.head_module = _PassOn()
    head.raw_maps = _RawMaps(backend)
    return model.to(backend.device), {'classes': backend.info.classes}


def _check_options(info: ExportInfo, path: Path) -> None:
    included = [f'--with-{name}' for name in ('preprocess', 'postprocess') if getattr(info, name)]
    if included:
        raise UserError(
            f'{path}: exported with {" and ".join(included)}, expected the network alone: tiles, '
            'thresholds and sizes are up to the inferencer; export again without, or run the file '
            'with smallobj_mm.deployment.load_backend'
        )


class _RawMaps(nn.Module):
    """The file as a module."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self.backend = backend

    def forward(self, inputs: Tensor) -> Any:
        """Images to raw maps, nested as those of the network."""
        maps = tuple(output.to(inputs.device) for output in self.backend(inputs))
        return unflatten(maps, self.backend.info.structure)


def _reading(kind: type[nn.Module]) -> type[nn.Module]:
    """A head of a kind that takes its raw maps from its module ``raw_maps``."""

    def forward(self: Any, inputs: Tensor) -> Any:
        return self.raw_maps(inputs)

    return type(f'Exported{kind.__name__}', (kind,), {'forward': forward, '__doc__': kind.__doc__})
