# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Detection, segmentation and pre-training of small objects for OpenMMLab."""

from .compat import activate

activate()

from .version import __version__  # noqa: E402

__all__ = ['__version__']
