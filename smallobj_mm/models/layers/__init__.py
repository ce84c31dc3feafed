# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Plain modules without registry or config."""

from .elan import ELAN
from .implicit import ImplicitAdd, ImplicitConv, ImplicitMul
from .rep_conv import RepConv
from .semantic_decoupling import SemanticDecoupling, decouple
from .spp import SPPCSPC, SPPF, ChainedMaxPool

__all__ = [
    'ELAN',
    'SPPCSPC',
    'SPPF',
    'ChainedMaxPool',
    'ImplicitAdd',
    'ImplicitConv',
    'ImplicitMul',
    'RepConv',
    'SemanticDecoupling',
    'decouple',
]
