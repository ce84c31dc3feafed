# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Metrics; each is registered where the framework that it evaluates is installed."""

from importlib.util import find_spec

__all__ = []

if find_spec('mmdet') is not None:
    from .small_object_metric import SmallObjectMetric

    __all__ += ['SmallObjectMetric']

if find_spec('mmseg') is not None:
    from .irstd_metric import IRSTDMetric

    __all__ += ['IRSTDMetric']
