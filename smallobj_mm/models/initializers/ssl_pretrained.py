# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Weights of a backbone from a self-supervised checkpoint."""

from mmengine.logging import print_log
from mmengine.model import initialize
from torch import nn

from smallobj_mm.checkpoints.reading import load_plain
from smallobj_mm.checkpoints.state_dict import COUNTER, find_prefix, flatten_tensors
from smallobj_mm.registry import WEIGHT_INITIALIZERS
from smallobj_mm.utils.errors import UserError

#: How the ResNets of mmdet, mmseg and mmpretrain start without a checkpoint.
_RANDOM = [
    dict(type='Kaiming', layer='Conv2d'),
    dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
]


@WEIGHT_INITIALIZERS.register_module(name='SSLPretrained')
class SSLPretrainedInit:
    """Loads a backbone from DetSim, MMPretrain, torchvision, MoCo, SimSiam or plain checkpoints.

    Used as ``init_cfg=dict(type='SSLPretrained', checkpoint='detsim.pth')`` of any backbone
    whose parameters have torchvision's names, as those of mmdet, mmseg and mmpretrain do. The
    tensors may stand at the top or nested (``state_dict``, ``backbone``, ``model``) and under
    any prefix (``module.``, ``encoder_q.``, ``backbone.``). They are loaded as plain tensors;
    nothing in the file is executed.

    Args:
        checkpoint: A ``.pth`` or ``.safetensors`` file; None for random weights (Kaiming), so that
            a config can name the place of a checkpoint before there is one.
        strict: Refuse a checkpoint that does not hold every tensor of the module in its shape.
            With ``False`` those that fit are loaded, but at least one must.
        prefix: Prefix of the tensors in the file; found by itself when not given.

    Raises:
        FileNotFoundError: If the file does not exist.
        UserError: If the file is no checkpoint, or not every tensor fits.
    """

    def __init__(
        self, checkpoint: str | None, strict: bool = True, prefix: str | None = None
    ) -> None:
        self.checkpoint = checkpoint
        self.strict = strict
        self.prefix = prefix

    def __call__(self, module: nn.Module) -> None:
        """Load the tensors into ``module`` and log how many of its own were found."""
        if self.checkpoint is None:
            initialize(module, _RANDOM)
            return
        tensors = dict(flatten_tensors(load_plain(self.checkpoint)))
        expected = module.state_dict()
        prefix = self.prefix
        if prefix is None:
            prefix = find_prefix(set(tensors), list(expected))
        here = {
            name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)
        }
        missing = [name for name in expected if name not in here]
        misshapen = [n for n in expected if n in here and here[n].shape != expected[n].shape]
        self._check(expected, tensors, here, missing, misshapen)

        fits = {n: here[n] for n in expected if n in here and n not in misshapen}
        module.load_state_dict(fits, strict=False)
        unused = sorted(set(here) - set(expected)) if prefix else []
        print_log(
            f'SSLPretrained: loaded {len(fits)}/{len(expected)} tensors of '
            f'{type(module).__name__} from {self.checkpoint} (prefix {prefix!r})'
            + (f'; not in the model: {_some(unused)}' if unused else ''),
            logger='current',
        )

    def _check(
        self, expected: dict, tensors: dict, here: dict, missing: list[str], misshapen: list[str]
    ) -> None:
        # Counters of batches are absent from older files and without effect on the network.
        lost = [name for name in missing if not name.endswith(COUNTER)] + misshapen
        if not lost or (not self.strict and len(missing) + len(misshapen) < len(expected)):
            return
        loaded = len(expected) - len(missing) - len(misshapen)
        what = f'{loaded} of {len(expected)} tensors fit'
        if missing:
            what += f'; not found: {_some(missing)}'
        if misshapen:
            shapes = [
                f'{n} {tuple(here[n].shape)} instead of {tuple(expected[n].shape)}'
                for n in misshapen
            ]
            what += f'; of another shape: {_some(shapes)}'
        raise UserError(
            f'{self.checkpoint}: {what}; expected names like {next(iter(expected))!r}, found '
            f'{_some(list(tensors))}; give a ResNet-18 checkpoint with torchvision names, '
            "the right 'prefix', or strict=False to take what fits"
        )


def _some(names: list[str], most: int = 3) -> str:
    """The first few names and how many more there are."""
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return (', '.join(names[:most]) or 'none') + more
