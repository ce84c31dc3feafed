# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From a config and a file of weights to a network that is ready to predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS, DefaultScope
from torch import Tensor, nn

from smallobj_mm.engine.checkpoint import load_plain
from smallobj_mm.engine.sync_bn import disable_sync_bn_on_cpu
from smallobj_mm.models.utils.deploy import switch_to_deploy
from smallobj_mm.utils.frameworks import has_framework
from smallobj_mm.weights import shipped_weights

_PACKAGE = Path(__file__).resolve().parent.parent
#: Where configs lie: links or copies in an installed package, the repository's own folder.
CONFIG_FOLDERS = (_PACKAGE / '.mim' / 'configs', _PACKAGE.parent / 'configs')
#: Default scope of a config -> what its models do.
TASKS = {'mmdet': 'detection', 'mmseg': 'segmentation'}
#: Prefix of weights that were saved from inside a wrapper for several processes.
_WRAPPER = 'module.'


def find_config(name: str | Path) -> Path:
    """The file of a config.

    Args:
        name: Path of a config, or the name of one that comes with the package, such as
            ``'ismallnet_s_nuaa'``.

    Raises:
        FileNotFoundError: There is no such file and no such name.
        ValueError: Several configs have the name.
    """
    path = Path(name)
    if path.suffix == '.py' and path.is_file():
        return path
    if path.suffix == '.py' or len(path.parts) != 1:
        raise FileNotFoundError(
            f'config {name}: no such file; give the path of a config, or a name without .py'
        )
    names: set[str] = set()
    for folder in CONFIG_FOLDERS:
        # Not rglob: it does not follow the link that .mim/configs is.
        found = [file for file in sorted(folder.glob('*/*.py')) if file.parts[-2] != '_base_']
        hits = [file for file in found if file.stem == path.name]
        if len(hits) > 1:
            raise ValueError(
                f'config {name}: {len(hits)} configs have this name, {hits[0]} and {hits[1]}; give '
                'the path of one'
            )
        if hits:
            return hits[0]
        names.update(file.stem for file in found)
    known = ', '.join(sorted(names)) or 'none (the package was installed without its configs)'
    raise FileNotFoundError(
        f'config {name}: neither a file nor the name of a config of the package; expected a path '
        f'that ends in .py or one of {known}'
    )


def read_config(config: str | Path | Config) -> tuple[Config, str, Path | None]:
    """A config, what it is called, and its file.

    Args:
        config: Path, name, or a config that is already there.

    Returns:
        A copy of the config, its name, and its file (None if it has none).

    Raises:
        FileNotFoundError: See :func:`find_config`.
        ValueError: It is none of detection or segmentation.
        ImportError: Its framework is not installed.
    """
    if isinstance(config, Config):
        path = Path(config.filename) if config.filename else None
        cfg, name = config.copy(), path.stem if path else 'config'
    elif isinstance(config, (str, Path)):
        path = find_config(config)
        cfg, name = Config.fromfile(path), path.stem
    else:
        raise TypeError(
            f'config is a {type(config).__name__}, expected a path, a name or an mmengine Config'
        )
    scope = cfg.get('default_scope')
    if scope not in TASKS or cfg.get('model') is None:
        raise ValueError(
            f'{name}: default_scope {scope!r}, expected a config with a model and default_scope '
            "'mmdet' (detection) or 'mmseg' (segmentation)"
        )
    if not has_framework(scope):
        extra = {'mmdet': 'det', 'mmseg': 'seg'}[scope]
        raise ImportError(
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


def build_network(cfg: Config, weights: Path, device: str | torch.device) -> tuple[BaseModel, dict]:
    """The deployed network of a config, in channels-last memory.

    Args:
        cfg: Config with ``default_scope``; changed where the machine asks for it.
        weights: Checkpoint, read as plain tensors.
        device: Where the network runs.

    Returns:
        The network in evaluation mode, and what the checkpoint says about its data set
        (``dataset_meta``; empty if nothing).

    Raises:
        ValueError: The file cannot be read, or its weights are not those of the config.
        RuntimeError: There is no such device.
    """
    disable_sync_bn_on_cpu(cfg)
    if cfg.get('data_preprocessor') is not None:
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    checkpoint = load_plain(weights)
    load_weights(model, checkpoint, str(weights))
    model = switch_to_deploy(model)
    try:
        model = model.to(torch.device(device))
    except (AssertionError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RuntimeError(f'device {device}: not usable here ({reason}); try cpu') from None
    meta = checkpoint.get('meta')
    meta = meta.get('dataset_meta') if isinstance(meta, dict) else None
    return model.to(memory_format=torch.channels_last), meta if isinstance(meta, dict) else {}


def load_weights(model: nn.Module, checkpoint: dict, source: str) -> None:
    """Put the weights of a checkpoint into a model, all of them.

    Half precision becomes the model's own.

    Raises:
        ValueError: A weight is missing, has another shape, or is none of the model.
    """
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, dict):
        state = {}
    state = {str(k).removeprefix(_WRAPPER): v for k, v in state.items() if isinstance(v, Tensor)}
    own = model.state_dict()
    missing = [key for key in own if key not in state]
    foreign = [key for key in state if key not in own]
    shapes = [key for key in own if key in state and own[key].shape != state[key].shape]
    for keys, what in ((missing, 'missing'), (foreign, 'unknown to the model')):
        if keys:
            raise ValueError(
                f'{source}: {len(keys)} weights are {what} (first: {keys[0]}), expected the '
                f'{len(own)} of the config; give the checkpoint that was trained with this config'
            )
    if shapes:
        key = shapes[0]
        raise ValueError(
            f'{source}: {len(shapes)} weights have another shape (first: {key} '
            f'{tuple(state[key].shape)}, expected {tuple(own[key].shape)}); give the checkpoint '
            'that was trained with this config'
        )
    model.load_state_dict({key: state[key].to(own[key].dtype) for key in own})


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
