# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Names of the authors' parameters of iSmallNet and ours."""

import re
from collections.abc import Mapping

from torch import Tensor

from smallobj_mm.utils.errors import UserError

from .obsdm import unwrap
from .published import check_published, naming, published_shapes

#: The authors call the interior "body" and the boundary "detail".
_STREAMS = {'b': (0, 'interior'), 'd': (1, 'boundary')}

#: Parts inside a residual attention block.
_IN_BLOCK = {
    'ca.fc1': 'channel_attention.reduce',
    'ca.fc2': 'channel_attention.expand',
    'sa.conv1': 'spatial_attention.conv',
}

_HEAD = 'decode_head.head_module'
_FUSED = {
    'decoder3.conv_final.0': f'{_HEAD}.fusion_final',
    'linearb': f'{_HEAD}.interior_logit',
    'lineard': f'{_HEAD}.boundary_logit',
    'linear': f'{_HEAD}.mask_logit',
}

#: The authors' 1x1 convolution of the finest scale is never run.
_UNUSED = re.compile(r'decoder3\.conv0_1x1\.(weight|bias)')
#: That of the second finest scale is run for the finest one as well.
_SHARED = f'{_HEAD}.fusion_laterals.1'
_SHARED_TWIN = f'{_HEAD}.fusion_laterals.0'


def rename_ismallnet(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Our names for the tensors of an authors' iSmallNet checkpoint.

    Args:
        state_dict: Tensors under the authors' names, ``bbkbone.conv0_0.0.conv1.weight`` and so on.

    Returns:
        The tensors under the names of ``configs/ismallnet/ismallnet_nuaa.py``, and the names that
        were dropped because the model never uses them. A convolution that the authors run at two
        scales is there twice.

    Raises:
        UserError: If a name is unknown.
    """
    renamed: dict[str, Tensor] = {}
    dropped: list[str] = []
    for key, tensor in state_dict.items():
        name = key.removeprefix('module.')
        if _UNUSED.fullmatch(name):
            dropped.append(key)
            continue
        new = _rename(name)
        if new is None:
            raise UserError(
                f'{key}: unknown name, expected those of the published iSmallNet such as '
                "'bbkbone.conv0_0.0.conv1.weight'; convert a checkpoint of that model, whole"
            )
        renamed[new] = tensor
        if new.startswith(_SHARED):
            renamed[new.replace(_SHARED, _SHARED_TWIN)] = tensor.clone()
    return renamed, dropped


def convert_ismallnet(
    checkpoint: Mapping, source: str
) -> tuple[dict[str, Tensor], dict, list[str]]:
    """A checkpoint of ours from one of the authors' iSmallNet.

    Args:
        checkpoint: What the file holds: the state dict, or a dict with it under ``state_dict``
            or ``model``.
        source: Name of the file, for messages.

    Returns:
        The state dict, the metadata (``source``), and lines for the user.

    Raises:
        UserError: If names are unknown or missing, or a tensor has another shape than in the
            published model.
        MissingPackageError: If mmseg is not installed.
    """
    tensors = unwrap(checkpoint, source)
    with naming(source):
        renamed, dropped = rename_ismallnet(tensors)
    ends = ('backbone.streams.0.levels.0.0.conv1.weight', f'{_HEAD}.mask_logit.3.weight')
    if not all(end in renamed for end in ends):
        raise UserError(
            f'{source}: found {len(tensors)} tensors without the first or the last layer, '
            'expected a whole iSmallNet; convert the whole checkpoint'
        )
    check_published(renamed, published_shapes('ismallnet_nuaa'), source, 'iSmallNet')
    lines = [f'{source}: iSmallNet']
    if dropped:
        lines.append(f'dropped, never used by the model: {", ".join(dropped)}')
    return renamed, {'source': 'authors_to_mm ismallnet'}, lines


def _rename(name: str) -> str | None:
    """Our name; None if the authors have no such name."""
    for theirs, ours in _FUSED.items():
        if name.startswith(f'{theirs}.'):
            return ours + _in_block(name.removeprefix(theirs))
    if match := re.fullmatch(r'([bd])bkbone\.conv(\d)_0\.(\d)(\..+)', name):
        stream, level, block, rest = match.groups()
        index = _STREAMS[stream][0]
        return f'backbone.streams.{index}.levels.{level}.{block}{_in_block(rest)}'
    if match := re.fullmatch(r'decoder([bd])1\.conv(\d_\d)\.(\d)(\..+)', name):
        stream, node, block, rest = match.groups()
        return f'neck.streams.{_STREAMS[stream][0]}.nodes.{node}.{block}{_in_block(rest)}'
    if match := re.fullmatch(r'decoder([bd])2\.conv0_4_final\.0(\..+)', name):
        stream, rest = match.groups()
        return f'{_HEAD}.{_STREAMS[stream][1]}_final{_in_block(rest)}'
    # conv0_J_1x1 takes the last node of column J, which is on level 4 at J = 4: x(4, 0) has
    # taken the name that x(0, 4), which needs no convolution, leaves free.
    if match := re.fullmatch(r'decoder([bd])2\.conv0_([1-4])_1x1\.(weight|bias)', name):
        stream, level, kind = match.groups()
        return f'{_HEAD}.{_STREAMS[stream][1]}_laterals.{level}.{kind}'
    if match := re.fullmatch(r'decoder3\.conv([1-4])_1x1\.(weight|bias)', name):
        return f'{_HEAD}.fusion_laterals.{match[1]}.{match[2]}'
    return None


def _in_block(rest: str) -> str:
    for theirs, ours in _IN_BLOCK.items():
        rest = rest.replace(f'.{theirs}.', f'.{ours}.')
    return rest
