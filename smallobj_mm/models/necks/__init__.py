# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Necks."""

from .cross_pafpn import CrossPAFPN
from .nested_interactive_neck import NestedInteractiveNeck

__all__ = ['CrossPAFPN', 'NestedInteractiveNeck']
