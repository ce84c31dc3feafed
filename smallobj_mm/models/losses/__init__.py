# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Losses as functions of tensors."""

from .ciou import aligned_ciou

__all__ = ['aligned_ciou']
