# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Weight initializers."""

from .ssl_pretrained import SSLPretrainedInit

__all__ = ['SSLPretrainedInit']
