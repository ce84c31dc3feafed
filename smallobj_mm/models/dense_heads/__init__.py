# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Detection heads."""

from .decoupled_cross_head import DecoupledCrossHead
from .decoupled_cross_head_module import DecoupledCrossHeadModule

__all__ = ['DecoupledCrossHead', 'DecoupledCrossHeadModule']
