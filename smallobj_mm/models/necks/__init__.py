# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Necks."""

from .cross_pafpn import CrossPAFPN

__all__ = ['CrossPAFPN']
