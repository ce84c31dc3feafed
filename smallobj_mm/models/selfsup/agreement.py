# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Whether the parts of a DetSim have the same stages: said when it is built, in one line.

Unequal lists would otherwise be cut to the shortest, and stages left out of training.
"""

from typing import Any

from mmengine.model import BaseModule
from torch import nn

from smallobj_mm.datasets.transforms.view_options import is_count, is_number
from smallobj_mm.utils.errors import UserError


def is_list_of_numbers(value: Any, least: float) -> bool:
    """Whether ``value`` is a list or tuple, not empty, of numbers of ``least`` or more."""
    numbers = isinstance(value, (list, tuple)) and all(is_number(item, least) for item in value)
    return numbers and len(value) > 0


def stage_channels(backbone: nn.Module) -> tuple[int, ...] | None:
    """Channels of the maps of a ResNet of mmpretrain; None where they cannot be known."""
    indices = getattr(backbone, 'out_indices', None)
    names = getattr(backbone, 'res_layers', None)
    if not isinstance(indices, (list, tuple)) or not isinstance(names, list):
        return None
    # The maps come in the order of the stages, each once.
    blocks = [getattr(backbone, name)[-1] for i, name in enumerate(names) if i in indices]
    channels: list[Any] = [getattr(block, 'out_channels', None) for block in blocks]
    return None if None in channels else tuple(channels)


def check_local(local_grid: Any, local_weight: Any) -> None:
    """That the options of local views are in their ranges.

    Raises:
        UserError: If one is not.
    """
    if not is_count(local_grid):
        raise UserError(f'DetSim: local_grid is {local_grid!r}, expected an integer of 1 or more')
    if not is_number(local_weight, 0):
        raise UserError(f'DetSim: local_weight is {local_weight!r}, expected a number of 0 or more')


def check_stages(
    backbone: nn.Module,
    neck: BaseModule,
    head: BaseModule,
    auxiliary_head: BaseModule | None,
    stage_weights: Any,
) -> None:
    """That all parts have the stages of the neck.

    Raises:
        UserError: If one has others, or the stages' weights are not as many numbers.
    """
    widths = tuple(neck.in_channels)
    stages = len(widths)
    indices = getattr(backbone, 'out_indices', None)
    if isinstance(indices, (list, tuple)) and len(indices) != stages:
        raise UserError(
            f'DetSim: backbone.out_indices is {tuple(indices)}, which are {len(indices)} stages, '
            f'expected {stages}, one for each of neck.in_channels {widths}'
        )
    channels = stage_channels(backbone)
    if channels not in (None, widths):
        raise UserError(
            f'DetSim: neck.in_channels is {widths}, expected the channels of the stages of the '
            f'backbone {channels}'
        )
    if len(head.stages) != stages:
        raise UserError(
            f'DetSim: head.num_stages is {len(head.stages)}, expected {stages}, the stages of the '
            'neck'
        )
    if head.in_channels != neck.out_channels:
        raise UserError(
            f'DetSim: head.in_channels is {head.in_channels}, expected {neck.out_channels}, '
            'neck.out_channels'
        )
    if auxiliary_head is not None and tuple(auxiliary_head.in_channels) != widths:
        raise UserError(
            f'DetSim: auxiliary_head.in_channels is {tuple(auxiliary_head.in_channels)}, expected '
            f'{widths}, neck.in_channels'
        )
    if not is_list_of_numbers(stage_weights, 0) or len(stage_weights) != stages:
        raise UserError(
            f'DetSim: stage_weights is {stage_weights!r}, expected {stages} numbers of 0 or more, '
            'one for each stage of the neck'
        )
