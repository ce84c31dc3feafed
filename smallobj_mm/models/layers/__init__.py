# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Plain modules without registry or config."""

from .elan import ELAN
from .implicit import ImplicitAdd, ImplicitConv, ImplicitMul
from .rep_conv import RepConv
from .res_cbam import ChannelAttention, ResCBAMBlock, SpatialAttention, res_cbam_blocks
from .semantic_decoupling import SemanticDecoupling, decouple
from .spp import SPPCSPC, SPPF, ChainedMaxPool
from .types import ConfigType

__all__ = [
    'ELAN',
    'SPPCSPC',
    'SPPF',
    'ChainedMaxPool',
    'ChannelAttention',
    'ConfigType',
    'ImplicitAdd',
    'ImplicitConv',
    'ImplicitMul',
    'RepConv',
    'ResCBAMBlock',
    'SemanticDecoupling',
    'SpatialAttention',
    'decouple',
    'res_cbam_blocks',
]
