# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Folding a trained model into its inference form."""

import copy
from typing import TypeVar

import torch
from mmcv.cnn.utils import fuse_conv_bn
from torch import nn
from torch.nn.modules.conv import _ConvNd

Model = TypeVar('Model', bound=nn.Module)


@torch.no_grad()
def switch_to_deploy(model: Model) -> Model:
    """Fold all that can be folded of a model, in place.

    Every submodule that has a ``switch_to_deploy`` method folds itself (RepConv into one
    convolution, implicit vectors into theirs); then each batch norm goes into the convolution
    right in front of it; a convolution that several norms share becomes one for each. Outputs stay
    the same up to rounding. The model is put into evaluation
    mode, can no longer be trained, and can be folded again without harm.

    Args:
        model: Any model.

    Returns:
        The same model.
    """
    model.eval()
    for module in list(model.modules()):
        fold = getattr(module, 'switch_to_deploy', None)
        if callable(fold):
            fold()
    _untie_convolutions(model)
    return fuse_conv_bn(model)


def _untie_convolutions(model: nn.Module) -> None:
    """Give each parent of a shared convolution one of its own: each folds another norm into it."""
    seen: set[int] = set()
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _ConvNd):
                if id(child) in seen:
                    setattr(parent, name, copy.deepcopy(child))
                seen.add(id(child))
