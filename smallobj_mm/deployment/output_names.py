# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Names of a network's raw maps, by what they are and where in the pyramid."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor


def name_maps(head: Any, structure: Any, maps: Sequence[Tensor], side: int) -> tuple[str, ...]:
    """Names of the raw maps of a model.

    A head of this package says what its maps are (``map_names``). mmdet's heads say it by the first
    arguments of ``predict_by_feat``: ``cls_scores``, ``bbox_preds``. Maps of several levels get the
    stride as ending: ``cls_scores_stride8``.

    Args:
        head: ``bbox_head`` or ``decode_head`` (a module); None where there is none.
        structure: How the model nests the maps, see
            :class:`~smallobj_mm.deployment.metadata.ExportInfo`.
        maps: ``(N, c, h, w)`` each, of an image of ``side`` x ``side`` px.
        side: In px.

    Returns:
        A name for each map, all different.
    """
    kinds = _kinds(head)
    if isinstance(structure, int):
        groups = [structure]
    elif all(isinstance(part, int) for part in structure) and len(kinds) != len(structure):
        groups = [structure]  # a map for each level
    else:
        groups = list(structure)
    names = [''] * len(maps)
    for number, group in enumerate(groups):
        kind = kinds[number] if number < len(kinds) else f'output_{number}'
        members = list(_positions(group))
        for index in members:
            stride = round(side / maps[index].shape[2])
            names[index] = kind if len(members) == 1 else f'{kind}_stride{stride}'
    if len(set(names)) < len(names):  # levels of one size
        names = [f'{name}_{index}' for index, name in enumerate(names)]
    return tuple(names)


def _kinds(head: Any) -> tuple[str, ...]:
    named = getattr(head, 'map_names', None)
    if named is not None:
        return tuple(named)
    read = getattr(head, 'predict_by_feat', None) if hasattr(head, 'bbox_coder') else None
    return ('logits',) if read is None else tuple(inspect.signature(read).parameters)


def _positions(structure: Any) -> list[int]:
    if isinstance(structure, int):
        return [structure]
    return [index for part in structure for index in _positions(part)]
