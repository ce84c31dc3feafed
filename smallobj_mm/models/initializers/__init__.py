# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Weight initializers; that of a backbone of ours needs mmcv as the backbone does."""

from smallobj_mm.compat.frameworks import has_framework

from .ssl_pretrained import SSLPretrainedInit

__all__ = ['SSLPretrainedInit']

if has_framework('mmcv'):
    from .efficientnet_lite import EfficientNetLite0PretrainedInit

    __all__ += ['EfficientNetLite0PretrainedInit']
