# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A backbone out of a training checkpoint, with what is known of its training."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from operator import le
from typing import Any

from torch import Tensor

from smallobj_mm.checkpoints.state_dict import COUNTER, find_prefix, flatten_tensors
from smallobj_mm.utils.errors import UserError
from smallobj_mm.version import __version__

#: Names of a ResNet's tensors in torchvision, without its classifier.
_RESNET = re.compile(
    r'(?:conv1|bn1|layer(?P<stage>[1-4])\.(?P<block>\d+)\.(?:conv[123]|bn[123]|downsample\.[01]))\.'
    r'(?:weight|bias|running_mean|running_var|num_batches_tracked)'
)
_FIRST = ['conv1.weight', 'bn1.weight', 'layer1.0.conv1.weight']
#: Blocks of each stage by depth; the deeper ones have blocks of three convolutions.
_BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
#: What is known of a training, in the header of a file.
_KNOWN = (
    'recipe',
    'model',
    'epochs',
    'iterations',
    'data',
    'batch_size',
    'trained',
    'source',
    'classes',
)
#: Where a config says which images it reads.
_DATA_KEYS = ('type', 'data_root', 'image_folder', 'image_list', 'class_list', 'ann_file')


def extract_backbone(checkpoint: Mapping, source: str) -> dict[str, Tensor]:
    """The tensors of a whole ResNet under torchvision's names.

    Args:
        checkpoint: What the file holds, of any prefix and nesting that ``SSLPretrained`` reads.
        source: Name of the file, for messages.

    Raises:
        UserError: If there is no ResNet in it, one whose tensors are not in blocks of
            torchvision's form, or one that is not whole.
    """
    tensors = dict(flatten_tensors(checkpoint))
    prefix = find_prefix(set(tensors), _FIRST)
    missing = [name for name in _FIRST if prefix + name not in tensors]
    if missing:
        raise UserError(
            f'{source}: no ResNet found, {prefix + missing[0]!r} is not among its '
            f'{len(tensors)} tensors; expected a checkpoint whose backbone has torchvision names'
        )
    backbone = {
        name.removeprefix(prefix): tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
        if name.startswith(prefix) and _RESNET.fullmatch(name.removeprefix(prefix))
    }
    _check_whole(backbone, prefix, source)
    return backbone


def _check_whole(backbone: Mapping[str, Tensor], prefix: str, source: str) -> None:
    """Compare with all names and shapes of the ResNet of which these can be tensors.

    Raises:
        UserError: If there is none, or a tensor is missing or of another shape.
    """
    counts = [0, 0, 0, 0]
    for name in backbone:
        match = _RESNET.fullmatch(name)
        if match is not None and match['stage']:
            stage = int(match['stage']) - 1
            counts[stage] = max(counts[stage], int(match['block']) + 1)
    bottleneck = any('.conv3.' in name for name in backbone)
    depths = _BOTTLENECK if bottleneck else _BASIC
    # The smallest that has them all: a block that is not there is one that was lost.
    depth = next((d for d, most in depths.items() if all(map(le, counts, most))), None)
    if depth is None:
        raise UserError(
            f'{source}: its ResNet has stages of {counts} blocks of {3 if bottleneck else 2} '
            f'convolutions, expected at most those of a ResNet-{max(depths)}, '
            f'{list(depths[max(depths)])}; export a ResNet of depth 18, 34, 50, 101 or 152'
        )
    expected = _resnet_shapes(backbone, depths[depth], bottleneck)
    lost = [name for name in expected if name not in backbone and not name.endswith(COUNTER)]
    misshapen = [
        name
        for name, shape in expected.items()
        if name in backbone and tuple(backbone[name].shape) != shape
    ]
    if lost or misshapen:
        fit = sum(name in backbone for name in expected) - len(misshapen)
        what = (
            f'the first that is missing is {prefix + lost[0]!r}'
            if lost
            else f'{prefix + misshapen[0]!r} has the shape {tuple(backbone[misshapen[0]].shape)} '
            f'instead of {expected[misshapen[0]]}'
        )
        raise UserError(
            f'{source}: {fit} of the {len(expected)} tensors of a ResNet-{depth} fit, {what}; '
            'expected a whole backbone, give the checkpoint of a whole model'
        )


def _resnet_shapes(
    backbone: Mapping[str, Tensor], blocks: Sequence[int], bottleneck: bool
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a ResNet as wide (or grouped) as the first tensors of this one."""

    def measure(name: str, axis: int, default: int) -> int:
        tensor = backbone.get(name)
        return tensor.shape[axis] if tensor is not None and tensor.ndim == 4 else default

    shapes: dict[str, tuple[int, ...]] = {}

    def add(conv: str, norm: str, out: int, into: int, size: int) -> None:
        shapes[f'{conv}.weight'] = (out, into, size, size)
        for end in ('weight', 'bias', 'running_mean', 'running_var'):
            shapes[f'{norm}.{end}'] = (out,)
        shapes[f'{norm}.{COUNTER}'] = ()

    # Some stems are of one channel, or of 3x3 px.
    before = measure('conv1.weight', 0, 64)
    add('conv1', 'bn1', before, measure('conv1.weight', 1, 3), measure('conv1.weight', 2, 7))
    width = measure('layer1.0.conv1.weight', 0, before)
    out = measure('layer1.0.conv3.weight', 0, 4 * before) if bottleneck else width
    groups = max(width // max(measure('layer1.0.conv2.weight', 1, width), 1), 1)
    for stage, number in enumerate(blocks):
        inner, outer = width << stage, out << stage
        for block in range(number):
            name = f'layer{stage + 1}.{block}'
            if bottleneck:
                add(f'{name}.conv1', f'{name}.bn1', inner, before, 1)
                add(f'{name}.conv2', f'{name}.bn2', inner, inner // groups, 3)
                add(f'{name}.conv3', f'{name}.bn3', outer, inner, 1)
            else:
                add(f'{name}.conv1', f'{name}.bn1', inner, before, 3)
                add(f'{name}.conv2', f'{name}.bn2', outer, inner, 3)
            if block == 0 and (stage > 0 or before != outer):
                add(f'{name}.downsample.0', f'{name}.downsample.1', outer, before, 1)
            before = outer
    return shapes


def describe_training(checkpoint: Mapping, header: Mapping[str, str] = {}) -> dict[str, str]:
    """What a checkpoint of mmengine says about its training, as a header of strings.

    Args:
        checkpoint: What the file holds.
        header: That of the file, see :func:`~smallobj_mm.checkpoints.reading.read_header`.

    Returns:
        ``recipe`` (name of the config), ``model``, ``epochs``, ``iterations``, ``data`` (data sets
        and where they lay), ``batch_size``, ``trained`` (when), ``classes`` and
        ``palette`` (JSON lists); those that are known, also from a file that was exported before.
    """
    meta = checkpoint.get('meta')
    meta = meta if isinstance(meta, Mapping) else {}
    # An exported .pth has under ``meta`` what an exported .safetensors has in its header.
    earlier = {key: value for key, value in {**meta, **header}.items() if isinstance(value, str)}
    header = {'format': 'pt', 'names': 'torchvision', 'written_by': f'smallobj_mm {__version__}'}
    header |= {key: earlier[key] for key in _KNOWN if key in earlier}
    for key, name in (('epoch', 'epochs'), ('iter', 'iterations'), ('time', 'trained')):
        if isinstance(meta.get(key), (str, int)):
            header[name] = str(meta[key])
    if isinstance(meta.get('experiment_name'), str):
        # mmengine appends when the run began.
        header['recipe'] = re.sub(r'_\d{8}_\d{6}$', '', meta['experiment_name'])
    dataset = meta.get('dataset_meta')
    for key in ('classes', 'palette'):
        if isinstance(dataset, Mapping) and isinstance(dataset.get(key), (list, tuple)):
            header[key] = json.dumps(dataset[key], default=str)
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
    lines = [line for wrapped in inner for line in _data_sets(wrapped)]
    known = [f'{key}={dataset[key]}' for key in _DATA_KEYS if dataset.get(key)]
    return lines or [' '.join(known)]


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
            raise UserError('a call of something other than dict')
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
