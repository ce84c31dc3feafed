# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A backbone out of a training checkpoint, with what is known of its training."""

import ast
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from smallobj_mm.models.initializers.ssl_pretrained import find_prefix, flatten_tensors
from smallobj_mm.version import __version__

#: Names of a ResNet's tensors in torchvision, without its classifier.
_RESNET = re.compile(
    r'(?:conv1|bn1|layer[1-4]\.\d+\.(?:conv[123]|bn[123]|downsample\.[01]))\.'
    r'(?:weight|bias|running_mean|running_var|num_batches_tracked)'
)
_FIRST = ['conv1.weight', 'bn1.weight', 'layer1.0.conv1.weight', 'layer4.0.conv1.weight']
#: Where a config says which images it reads.
_DATA_KEYS = ('type', 'data_root', 'image_folder', 'image_list', 'class_list', 'ann_file')


def extract_backbone(checkpoint: Mapping, source: str) -> dict[str, Tensor]:
    """The tensors of a ResNet under torchvision's names.

    Args:
        checkpoint: What the file holds, of any prefix and nesting that ``SSLPretrained`` reads.
        source: Name of the file, for messages.

    Raises:
        ValueError: If there is no ResNet in it, or one whose tensors are not in blocks of
            torchvision's form.
    """
    tensors = dict(flatten_tensors(checkpoint))
    prefix = find_prefix(set(tensors), _FIRST)
    missing = [name for name in _FIRST if prefix + name not in tensors]
    if missing:
        raise ValueError(
            f'{source}: no ResNet found, {prefix + missing[0]!r} is not among its '
            f'{len(tensors)} tensors; expected a checkpoint whose backbone has torchvision names'
        )
    return {
        name.removeprefix(prefix): tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
        if name.startswith(prefix) and _RESNET.fullmatch(name.removeprefix(prefix))
    }


def describe_training(checkpoint: Mapping) -> dict[str, str]:
    """What a checkpoint of mmengine says about its training, as a header of strings.

    Returns:
        ``recipe`` (name of the config), ``model``, ``epochs``, ``iterations``, ``data`` (data sets
        and where they lay), ``batch_size``, ``trained`` (when); those that are known.
    """
    meta = checkpoint.get('meta')
    meta = meta if isinstance(meta, Mapping) else {}
    header = {'format': 'pt', 'names': 'torchvision', 'written_by': f'smallobj_mm {__version__}'}
    for key, name in (
        ('epoch', 'epochs'),
        ('iter', 'iterations'),
        ('time', 'trained'),
        ('source', 'source'),
    ):
        if isinstance(meta.get(key), (str, int)):
            header[name] = str(meta[key])
    if isinstance(meta.get('experiment_name'), str):
        # mmengine appends when the run began.
        header['recipe'] = re.sub(r'_\d{8}_\d{6}$', '', meta['experiment_name'])
    cfg = read_config_literals(meta['cfg']) if isinstance(meta.get('cfg'), str) else {}
    model = cfg.get('model')
    if isinstance(model, Mapping):
        header['model'] = str(model.get('type'))
    loader = cfg.get('train_dataloader')
    if isinstance(loader, Mapping):
        header['batch_size'] = str(loader.get('batch_size'))
        header['data'] = '; '.join(_data_sets(loader.get('dataset')))
    return header


def _data_sets(dataset: Any) -> list[str]:
    """A line for each data set inside wrappers."""
    if not isinstance(dataset, Mapping):
        return []
    inner = dataset.get('datasets') or [dataset.get('dataset')]
    found = [line for one in inner for line in _data_sets(one)]
    known = [f'{key}={dataset[key]}' for key in _DATA_KEYS if dataset.get(key)]
    return found or [' '.join(known)]


def read_config_literals(text: str) -> dict[str, Any]:
    """The settings in the text of a config, without running it.

    A checkpoint may come from anywhere and holds its config as Python text. Numbers, strings,
    lists, tuples, dicts and ``dict(...)`` are read; settings that hold anything else are left out.

    Args:
        text: As ``Config.pretty_text`` gives it.

    Returns:
        Setting -> value; empty if the text is no Python.
    """
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    settings = {}
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                settings[statement.targets[0].id] = _literal(statement.value)
            except ValueError:
                continue
    return settings


def _literal(node: ast.expr) -> Any:
    """Value of an expression of literals."""
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id != 'dict' or node.args:
            raise ValueError('a call of something other than dict')
        return {word.arg: _literal(word.value) for word in node.keywords if word.arg is not None}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_literal(element) for element in node.elts]
    if isinstance(node, ast.Dict):
        return {
            _literal(key): _literal(value)
            for key, value in zip(node.keys, node.values)
            if isinstance(key, ast.Constant)
        }
    return ast.literal_eval(node)
