# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Names of the authors' parameters and ours."""

import re
from collections.abc import Mapping

from torch import Tensor

from smallobj_mm.utils.errors import UserError

from .published import check_published, naming, published_shapes

#: Layers of the authors' model file -> ours. Their `.conv` and `.bn` are those of ConvModule.
_OBSDM_LAYERS = {
    '0.model.0': 'backbone.conv1',
    '0.model.1': 'backbone.bn1',
    '0.model.4': 'backbone.layer1',
    '0.model.5': 'backbone.layer2',
    '1.model.0': 'backbone.layer3',
    '2.model.0': 'backbone.layer4',
    '3.cv1': 'neck.sppf.reduce',
    '3.cv2': 'neck.sppf.expand',
    '4.cv1': 'neck.sppcspc.before_pool.0',
    '4.cv3': 'neck.sppcspc.before_pool.1',
    '4.cv4': 'neck.sppcspc.before_pool.2',
    '4.cv5': 'neck.sppcspc.after_pool.0',
    '4.cv6': 'neck.sppcspc.after_pool.1',
    '4.cv2': 'neck.sppcspc.shortcut',
    '4.cv7': 'neck.sppcspc.fuse',
    '5': 'neck.reduce_t5',
    '7': 'neck.lateral_c4',
    '8': 'neck.c3_to_16',
    '9': 'neck.c3_to_32',
    '10': 'neck.c4_to_32',
    '20': 'neck.reduce_m4',
    '22': 'neck.t5_to_8',
    '24': 'neck.c4_to_8',
    '26': 'neck.lateral_c3',
    '37': 'neck.down_8.pool_conv',
    '38': 'neck.down_8.reduce',
    '39': 'neck.down_8.conv',
    '40': 'neck.n3_to_32',
    '41': 'neck.m4_to_32',
    '50.cv1': 'neck.bottom_up_16.fuse.reduce',
    '50.cv2': 'neck.bottom_up_16.fuse.plain',
    '50.bn': 'neck.bottom_up_16.fuse.norm',
    '50.cv3': 'neck.bottom_up_16.fuse.fuse',
    '52': 'neck.down_16.pool_conv',
    '53': 'neck.down_16.reduce',
    '54': 'neck.down_16.conv',
}
#: First layer of each ELAN block: two 1x1, the chain of four, and (two later) the last 1x1.
_ELAN_BLOCKS = {12: 'top_down_16', 28: 'top_down_8', 43: 'bottom_up_16', 56: 'bottom_up_32'}
for _first, _name in _ELAN_BLOCKS.items():
    _OBSDM_LAYERS[f'{_first}'] = f'neck.{_name}.first'
    _OBSDM_LAYERS[f'{_first + 1}'] = f'neck.{_name}.second'
    for _i in range(4):
        _OBSDM_LAYERS[f'{_first + 2 + _i}'] = f'neck.{_name}.chain.{_i}'
    if _first != 43:  # there the semantic decoupling stands in its place
        _OBSDM_LAYERS[f'{_first + 7}'] = f'neck.{_name}.fuse'
for _i in range(3):
    _head = f'bbox_head.head_module.branch.{_i}'
    _OBSDM_LAYERS |= {
        f'{64 + _i}.rbr_dense.0': f'{_head}.0.conv3x3.conv',
        f'{64 + _i}.rbr_dense.1': f'{_head}.0.conv3x3.bn',
        f'{64 + _i}.rbr_1x1.0': f'{_head}.0.conv1x1.conv',
        f'{64 + _i}.rbr_1x1.1': f'{_head}.0.conv1x1.bn',
        f'67.m.{_i}': f'{_head}.1.conv',
        f'67.ia.{_i}': f'{_head}.1.add',
        f'67.im.{_i}': f'{_head}.1.mul',
    }

#: What the authors' model holds and never uses, or what our config holds instead.
_OBSDM_DROPPED = re.compile(r'50\.bgfg\.fc[12]\.weight|67\.anchors|67\.anchor_grid')


def rename_obsdm(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Our names for the tensors of an authors' OBSDM checkpoint.

    Args:
        state_dict: Tensors under the authors' names, ``model.0.model.0.weight`` and so on.

    Returns:
        The tensors under the names of ``configs/obsdm/obsdm_r18_voc_authors.py``, and the names
        that were dropped because the model never uses them.

    Raises:
        UserError: If a name is unknown.
    """
    renamed: dict[str, Tensor] = {}
    dropped: list[str] = []
    for key, tensor in state_dict.items():
        name = key.removeprefix('module.').removeprefix('model.')
        if _OBSDM_DROPPED.fullmatch(name):
            dropped.append(key)
            continue
        parts = name.split('.')
        ends = range(len(parts) - 1, 0, -1)
        head = next((h for i in ends if (h := '.'.join(parts[:i])) in _OBSDM_LAYERS), None)
        if head is None:
            raise UserError(
                f'{key}: unknown name, expected those of the published OBSDM model such as '
                "'model.0.model.0.weight'; convert a checkpoint of that model, whole"
            )
        renamed[_OBSDM_LAYERS[head] + name[len(head) :]] = tensor
    return renamed, dropped


def convert_obsdm(checkpoint: Mapping, source: str) -> tuple[dict[str, Tensor], dict, list[str]]:
    """A checkpoint of ours from one of the authors' OBSDM.

    Args:
        checkpoint: What the file holds: the state dict, or a dict with it under ``state_dict``
            or ``model``.
        source: Name of the file, for messages.

    Returns:
        The state dict, the metadata (``num_classes``, ``source``), and lines for the user: the
        number of classes, what was dropped, anchors that differ from the published ones.

    Raises:
        UserError: If names are unknown or missing, or a tensor has another shape than in the
            published model.
        MissingPackageError: If mmdet is not installed.
    """
    tensors = unwrap(checkpoint, source)
    with naming(source):
        renamed, dropped = rename_obsdm(tensors)
    predictor = renamed.get('bbox_head.head_module.branch.0.1.conv.weight')
    if predictor is None or 'backbone.conv1.weight' not in renamed:
        raise UserError(
            f'{source}: found {len(tensors)} tensors without the first or the last layer, '
            'expected a whole OBSDM model; convert the whole checkpoint'
        )
    num_anchors = 3
    outputs = predictor.shape[0] if predictor.ndim == 4 else 0
    num_classes = outputs // num_anchors - 5
    if num_classes < 1 or outputs % num_anchors:
        raise UserError(
            f'{source}: model.67.m.0.weight has the shape {tuple(predictor.shape)}, expected '
            f'({num_anchors} * (5 + classes), channels, 1, 1); convert a checkpoint of the '
            'published model'
        )
    expected = published_shapes('obsdm_r18_voc_authors', num_classes)
    check_published(renamed, expected, source, 'OBSDM')
    lines = [f'{source}: {num_classes} classes']
    if dropped:
        lines.append(f'dropped, never used by the model: {", ".join(dropped)}')
    grid = next((t for k, t in tensors.items() if k.endswith('anchor_grid')), None)
    if grid is not None:
        sizes = grid.reshape(-1, num_anchors, 2).tolist()
        lines.append(f'anchors (px) for prior_generator.base_sizes: {sizes}')
    # mmengine's own converters mark their files in this way.
    meta = {'num_classes': num_classes, 'source': 'authors_to_mm obsdm'}
    return renamed, meta, lines


def unwrap(checkpoint: Mapping, source: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint that may be nested under ``state_dict`` or ``model``.

    Raises:
        UserError: If there are no tensors.
    """
    for key in ('state_dict', 'model'):
        if isinstance(checkpoint.get(key), Mapping):
            checkpoint = checkpoint[key]
    tensors = {str(k): v for k, v in checkpoint.items() if isinstance(v, Tensor)}
    if not tensors:
        raise UserError(
            f'{source}: found no tensors, expected a state dict, plain or under state_dict or '
            'model; a pickled model must be saved again as its state_dict()'
        )
    return tensors
