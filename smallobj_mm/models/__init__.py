# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Components of the networks; each half registers where its framework is installed."""

from smallobj_mm.compat.frameworks import has_framework

from . import data_preprocessors, initializers, tta  # noqa: F401

if has_framework('mmcv'):
    from . import backbones, decode_heads, losses, necks  # noqa: F401

if has_framework('mmdet'):
    from . import dense_heads, task_modules  # noqa: F401

if has_framework('mmpretrain'):
    from . import selfsup  # noqa: F401
