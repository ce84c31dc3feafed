# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Names of the authors' DetSim parameters and ours."""

import re
from collections.abc import Mapping

from torch import Tensor

from smallobj_mm.checkpoints.state_dict import flatten_tensors
from smallobj_mm.utils.errors import UserError

from .published import check_published, naming, published_shapes

#: Parts of the authors' model -> ours. Stages 1 to 3 are numbered, the fourth is not.
_PARTS = {
    'pro': 'neck.stages.{}',
    'pre': 'head.stages.{}.predictor',
    'ss_predictor': 'auxiliary_head.stages.{}',
}
_LAYER = re.compile(
    r'(?P<part>projector|predictor|pro|pre|ss_predictor)(?P<stage>[123]?)\.'
    r'(?:(?P<target>crop|color)\.)?(?P<layer>\d+)\.(?P<end>\w+)'
)
#: Made by the authors' backbone and never used.
_DROPPED = re.compile(r'backbone\.conv2\.(weight|bias)')
_BACKBONE = re.compile(r'backbone\.(conv1|bn1|layer[1-4]\.\d+\.\w+)\..+')


def rename_detsim(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Our names for the tensors of an authors' DetSim checkpoint.

    Args:
        tensors: Tensors under the authors' names, ``backbone.conv1.weight``,
            ``pro1.0.weight`` and so on.

    Returns:
        The tensors under the names of ``configs/_base_/models/detsim_r18.py``, and the names
        that were dropped because the model never uses them.

    Raises:
        UserError: If a name is unknown.
    """
    renamed: dict[str, Tensor] = {}
    dropped: list[str] = []
    for key, tensor in tensors.items():
        name = key.replace('module.', '')
        if _DROPPED.fullmatch(name):
            dropped.append(key)
        elif _BACKBONE.fullmatch(name):
            renamed[name] = tensor
        else:
            renamed[_rename_layer(key, name)] = tensor
    return renamed, dropped


def _rename_layer(key: str, name: str) -> str:
    """Our name of a layer outside the backbone: a linear layer, BN and ReLU in turns."""
    match = _LAYER.fullmatch(name)
    if match is not None:
        part = {'projector': 'pro', 'predictor': 'pre'}.get(match['part'], match['part'])
        numbered = match['part'] in ('pro', 'pre')
        kind = {0: 'fc', 1: 'bn'}.get(int(match['layer']) % 3)
        auxiliary = part == 'ss_predictor'
        if (
            kind is not None
            and auxiliary == bool(match['target'])
            and (auxiliary or numbered == bool(match['stage']))
        ):
            head = _PARTS[part].format(int(match['stage'] or 4) - 1)
            target = f'.{match["target"]}' if match['target'] else ''
            return f'{head}{target}.{kind}{int(match["layer"]) // 3}.{match["end"]}'
    raise UserError(
        f'{key}: unknown name, expected those of the published DetSim model such as '
        "'backbone.conv1.weight', 'pro1.0.weight' or 'ss_predictor.crop.0.weight'; convert a "
        'checkpoint of that model, whole'
    )


def convert_detsim(checkpoint: Mapping, source: str) -> tuple[dict[str, Tensor], dict, list[str]]:
    """A checkpoint of ours from one of the authors' DetSim.

    The authors' program saves the parts of the model side by side and leaves out the auxiliary
    heads of stages 1 to 3. Auxiliary heads that are not there are reported; everything else must
    be.

    Args:
        checkpoint: What the file holds: tensors by name, or nested by part, also under
            ``state_dict`` or ``model``. The state of an optimizer is left out.
        source: Name of the file, for messages.

    Returns:
        The state dict, the metadata (``source``), and lines for the user.

    Raises:
        UserError: If names are unknown or missing, or a tensor has another shape than in the
            published model.
        MissingPackageError: If mmpretrain is not installed.
    """
    for key in ('state_dict', 'model'):
        if isinstance(checkpoint.get(key), Mapping):
            checkpoint = checkpoint[key]
    tensors = {
        name: tensor
        for name, tensor in flatten_tensors(checkpoint)
        if not name.startswith(('optim', 'sched'))
    }
    with naming(source):
        renamed, dropped = rename_detsim(tensors)
    if 'backbone.conv1.weight' not in renamed:
        raise UserError(
            f'{source}: found {len(tensors)} tensors without the first layer of a backbone, '
            'expected a DetSim model; convert the whole checkpoint'
        )
    lines = []
    if dropped:
        lines.append(f'dropped, never used by the model: {", ".join(dropped)}')
    heads = [f'auxiliary_head.stages.{stage}' for stage in range(4)]
    missing = [head for head in heads if not any(name.startswith(f'{head}.') for name in renamed)]
    check_published(
        renamed,
        published_shapes('detsim_r18_imagenet100'),
        source,
        'DetSim',
        optional=tuple(f'{head}.' for head in missing),
    )
    if missing:
        lines.append(f'{source} does not hold: {", ".join(missing)}')
    return renamed, {'source': 'authors_to_mm detsim'}, lines
