# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From the samples of a batch to what the network is given."""

from .image_norm import ImageNorm
from .irstd import IRSTDDataPreProcessor

__all__ = ['IRSTDDataPreProcessor', 'ImageNorm']
