# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints: reading them as plain data, what fits a model, backbones, publishing, converters."""

from .reading import load_plain, use_safe_loader

__all__ = ['load_plain', 'use_safe_loader']
