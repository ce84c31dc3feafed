# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Folding a trained model into its inference form."""

import torch
from mmcv.cnn.utils import fuse_conv_bn
from torch import nn


@torch.no_grad()
def switch_to_deploy(model: nn.Module) -> nn.Module:
    """Fold all that can be folded of a model, in place.

    Every submodule that has a ``switch_to_deploy`` method folds itself (RepConv into one
    convolution, implicit vectors into theirs); then each batch norm goes into the convolution
    right in front of it. Outputs stay the same up to rounding. The model is put into evaluation
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
    return fuse_conv_bn(model)
