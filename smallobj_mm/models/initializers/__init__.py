# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Weight initializers."""

from .efficientnet_lite import EfficientNetLite0PretrainedInit
from .ssl_pretrained import SSLPretrainedInit

__all__ = ['EfficientNetLite0PretrainedInit', 'SSLPretrainedInit']
