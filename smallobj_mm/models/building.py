# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From a config and a file of weights to a network that is ready to predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS, DefaultScope
from torch import nn

from smallobj_mm.checkpoints.reading import load_from_local_plain
from smallobj_mm.checkpoints.state_dict import load_weights
from smallobj_mm.compat.frameworks import has_framework
from smallobj_mm.models.utils.deploy import switch_to_deploy
from smallobj_mm.utils.configs import find_config, read_config
from smallobj_mm.utils.errors import MissingPackageError, UserError
from smallobj_mm.utils.sync_bn import disable_sync_bn_on_cpu
from smallobj_mm.weights import shipped_weights

#: Default scope of a config -> what its models do.
TASKS = {'mmdet': 'detection', 'mmseg': 'segmentation'}


def read_model_config(config: str | Path | Config) -> tuple[Config, str, Path | None]:
    """A config, what it is called, and its file.

    Args:
        config: Path, name, or a config that is already there.

    Returns:
        A copy of the config, its name, and its file (None if it has none).

    Raises:
        FileNotFoundError: See :func:`find_config`.
        UserError: It is none of detection or segmentation.
        MissingPackageError: Its framework is not installed.
    """
    if isinstance(config, Config):
        path = Path(config.filename) if config.filename else None
        cfg, name = config.copy(), path.stem if path else 'config'
    elif isinstance(config, (str, Path)):
        path = find_config(config)
        cfg, name = read_config(path), path.stem
    else:
        raise UserError(
            f'config is a {type(config).__name__}, expected a path, a name or an mmengine Config'
        )
    scope = cfg.get('default_scope')
    if scope not in TASKS or cfg.get('model') is None:
        raise UserError(
            f'{name}: default_scope {scope!r}, expected a config with a model and default_scope '
            "'mmdet' (detection) or 'mmseg' (segmentation)"
        )
    if not has_framework(scope):
        extra = {'mmdet': 'det', 'mmseg': 'seg'}[scope]
        raise MissingPackageError(
            f'{name}: needs {scope}, which is not installed; pip install "smallobj_mm[{extra}]"'
        )
    return cfg, name, path


def find_weights(weights: str | Path | None, name: str) -> Path:
    """The file of weights: the given one, else the one that comes with the package.

    Raises:
        FileNotFoundError: There is none.
    """
    if weights is None:
        return shipped_weights(name)
    path = Path(weights).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f'{weights}: no such file of weights; expected a checkpoint (.pth), .safetensors or an '
            'exported .onnx, .xml or .torchscript'
        )
    return path


def build_network(
    cfg: Config, weights: Path, device: str | torch.device, deploy: bool = True
) -> tuple[BaseModel, dict]:
    """The deployed network of a config, in channels-last memory.

    Args:
        cfg: Config with ``default_scope``; changed where the machine asks for it.
        weights: Checkpoint, read as plain tensors.
        device: Where the network runs.
        deploy: Fold branches and batch norms; False for the network as it was trained.

    Returns:
        The network in evaluation mode, and what the checkpoint says about its data set
        (``dataset_meta``; empty if nothing).

    Raises:
        UserError: The file cannot be read, or its weights are not those of the config.
        UserError: There is no such device.
    """
    disable_sync_bn_on_cpu(cfg)
    if cfg.get('data_preprocessor') is not None:
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    checkpoint = load_from_local_plain(str(weights))
    load_weights(model, checkpoint, str(weights))
    model = switch_to_deploy(model) if deploy else model.eval()
    try:
        model = model.to(torch.device(device))
    except (AssertionError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f'device {device}: not usable here ({reason}); try cpu') from None
    meta = checkpoint.get('meta')
    meta = meta.get('dataset_meta') if isinstance(meta, dict) else None
    return model.to(memory_format=torch.channels_last), meta if isinstance(meta, dict) else {}


def dataset_config(cfg: Config) -> dict:
    """The config of the data set that a config tests on, out of its wrappers; empty if none."""
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    while dataset.get('dataset'):
        dataset = dataset['dataset']
    return dataset


def class_names(cfg: Config, model: nn.Module, meta: dict) -> tuple[str, ...]:
    """Names of the classes: of the checkpoint, the config, its data set, else numbered ones.

    Args:
        cfg: The config.
        model: Its network, whose number of classes the names must have.
        meta: ``dataset_meta`` of the checkpoint.

    Returns:
        A name for each class; of segmentation the background's is the first.
    """
    head = getattr(model, 'bbox_head', None) or getattr(model, 'decode_head', None)
    if head is None:
        head = getattr(getattr(model, 'roi_head', None), 'bbox_head', None)
    number = getattr(head, 'num_classes', None)
    dataset = dataset_config(cfg)
    kind = dataset.get('type')
    if isinstance(kind, str):
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            kind = DATASETS.get(kind)
    candidates: Sequence = (
        meta.get('classes'),
        (dataset.get('metainfo') or {}).get('classes'),
        getattr(kind, 'METAINFO', {}).get('classes'),
    )
    for names in candidates:
        if isinstance(names, (list, tuple)) and number in (None, len(names)):
            return tuple(map(str, names))
    return tuple(f'class {index}' for index in range(number or 0))


def stock_config(config: str | Path | Config) -> Config:
    """A detector's config for mmdet's ``DetInferencer`` and what is built on it, such as SAHI.

    They put their loader in the place of mmdet's own, which our configs do not name, and look for
    a ``Resize``::

        from mmdet.apis import DetInferencer
        inferencer = DetInferencer(stock_config('obsdm_r18_hituav'), 'epoch_300.pth')

    Args:
        config: Path, name, or a config that is already there.

    Returns:
        A copy whose test pipeline loads with ``LoadImageFromFile``, and has a ``Resize``: one that
        keeps the size where there was none.

    Raises:
        FileNotFoundError: See :func:`~smallobj_mm.utils.configs.find_config`.
        UserError: It is no detector's, or has no test pipeline.
    """
    cfg, name, _ = read_model_config(config)
    pipeline = dataset_config(cfg).get('pipeline')
    if cfg.default_scope != 'mmdet' or not pipeline:
        raise UserError(
            f'{name}: default_scope {cfg.default_scope!r}, expected a detector (mmdet) with '
            'test_dataloader.dataset.pipeline'
        )
    loading = ConfigDict(type='LoadImageFromFile')
    kinds = [str(step['type']).rpartition('.')[2] for step in pipeline]
    steps = [loading if kind.startswith('LoadImage') else s for kind, s in zip(kinds, pipeline)]
    if 'Resize' not in kinds:
        steps.insert(steps.index(loading) + 1, ConfigDict(type='Resize', scale_factor=1.0))
    cfg.test_dataloader.dataset = ConfigDict(dataset_config(cfg), pipeline=steps)
    return cfg
