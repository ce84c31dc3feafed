# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Backbones."""

from .ssl_resnet import SSLResNet18

__all__ = ['SSLResNet18']
