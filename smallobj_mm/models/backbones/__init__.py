# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Backbones."""

from smallobj_mm.compat.frameworks import has_framework

from .dual_stream_encoder import DualStreamEncoder

__all__ = ['DualStreamEncoder']

if has_framework('mmdet'):
    from .ssl_resnet import SSLResNet18

    __all__ += ['SSLResNet18']
