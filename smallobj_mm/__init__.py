# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Small object detection and infrared small target segmentation for OpenMMLab.

Importing the package registers every component whose framework is installed.
"""

from .compat import activate

activate()  # before anything imports torchvision or mmcv

from . import datasets, engine, evaluation, models, visualization  # noqa: E402, F401
from .version import __version__  # noqa: E402

__all__ = ['__version__']
