# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Whether what was converted is a published model, whole."""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

from smallobj_mm.checkpoints.state_dict import COUNTER
from smallobj_mm.compat.frameworks import has_framework
from smallobj_mm.registry import MODELS
from smallobj_mm.utils.configs import find_config
from smallobj_mm.utils.errors import MissingPackageError, UserError


@contextlib.contextmanager
def naming(source: str) -> Iterator[None]:
    """Put the name of a file before what is wrong with its contents.

    Args:
        source: Name of the file.

    Raises:
        UserError: In place of one without the name.
    """
    try:
        yield
    except UserError as error:
        raise UserError(f'{source}: {error}') from None


def published_shapes(config: str, num_classes: int | None = None) -> dict[str, torch.Size]:
    """Names and shapes of the tensors of a model of ours.

    Args:
        config: Name of one of our configs, such as ``'ismallnet_nuaa'``.
        num_classes: Of a detector; that of the config when not given.

    Raises:
        MissingPackageError: The framework of the config is not installed.
    """
    cfg = Config.fromfile(find_config(config))
    scope = cfg.default_scope
    if not has_framework(scope):
        raise MissingPackageError(
            f'{config}: needs {scope}, which is not installed; install it first'
        )
    if num_classes is not None:
        cfg.model.bbox_head.num_classes = num_classes
    # Without memory where that works: mmpretrain's ResNet computes with tensors as it is built.
    device = 'cpu' if scope == 'mmpretrain' else 'meta'
    with DefaultScope.overwrite_default_scope(scope), torch.device(device):
        model = MODELS.build(cfg.model)
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def check_published(
    converted: Mapping[str, Tensor],
    expected: Mapping[str, torch.Size],
    source: str,
    title: str,
    optional: tuple[str, ...] = (),
) -> None:
    """Check that every tensor of a model was found, in its shape, and no other.

    Args:
        converted: Tensors under our names.
        expected: Of the model, see :func:`published_shapes`.
        source: Name of the authors' file, for messages.
        title: Name of the model, for messages.
        optional: Beginnings of the names that may be missing.

    Raises:
        UserError: If a tensor is missing, has another shape or is none of the model's.
    """
    missing = [
        name
        for name in expected
        if name not in converted and not name.endswith(COUNTER) and not name.startswith(optional)
    ]
    misshapen = [
        f'{name} {tuple(converted[name].shape)} instead of {tuple(shape)}'
        for name, shape in expected.items()
        if name in converted and converted[name].shape != shape
    ]
    unknown = [name for name in converted if name not in expected]
    if not missing and not misshapen and not unknown:
        return
    fit = sum(name in converted for name in expected) - len(misshapen)
    what = [
        f'{kind}: {_some(names)}'
        for kind, names in (
            ('not found', missing),
            ('of another shape', misshapen),
            ('not in the model', unknown),
        )
        if names
    ]
    raise UserError(
        f'{source}: {fit} of the {len(expected)} tensors of {title} fit; {"; ".join(what)} (our '
        'names); expected the published model, convert a checkpoint of it, whole'
    )


def _some(names: list[str], most: int = 2) -> str:
    """The first few names and how many more there are."""
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
