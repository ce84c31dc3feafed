# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Backbones."""

from smallobj_mm.compat.frameworks import has_framework

from .dual_stream_encoder import DualStreamEncoder
from .efficientnet_lite import EfficientNetLite0

__all__ = ['DualStreamEncoder', 'EfficientNetLite0']

if has_framework('mmdet'):
    from .ssl_resnet import SSLResNet18

    __all__ += ['SSLResNet18']
