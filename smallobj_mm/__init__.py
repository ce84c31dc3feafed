# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Small object detection and infrared small target segmentation for OpenMMLab.

Importing the package registers every component whose framework is installed.
"""

from .compat import activate, without_import_notes

activate()  # before anything imports torchvision or mmcv

with without_import_notes():
    from . import checkpoints, datasets, engine, evaluation, models, visualization  # noqa: F401
from .compat.package_names import use_onedl_names  # noqa: E402
from .version import __version__  # noqa: E402

use_onedl_names()

# Whoever trains with our components through other tools reads checkpoints safely as well.
checkpoints.use_safe_loader(refuse_others=False)

__all__ = ['__version__']
