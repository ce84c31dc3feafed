# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Components of the networks; each half registers where its framework is installed."""

from smallobj_mm.utils.frameworks import has_framework

from . import initializers  # noqa: F401

if has_framework('mmdet'):
    from . import backbones, dense_heads, necks, task_modules  # noqa: F401
