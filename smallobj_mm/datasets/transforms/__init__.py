# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Transforms for data pipelines.

Loading needs mmcv; the others use mmdet's boxes. Each part is registered where that is installed.
"""

from importlib.util import find_spec

__all__ = []

if find_spec('mmcv') is not None:
    from .loading import LoadImageStrict

    __all__ += ['LoadImageStrict']

if find_spec('mmdet') is not None:
    from .affine import MosaicAffine
    from .box_filter import SmallBoxFilter
    from .hsv import MultiplicativeHSV
    from .mixup import BetaMixUp
    from .mosaic import SmallObjectMosaic

    __all__ += [
        'BetaMixUp',
        'MosaicAffine',
        'MultiplicativeHSV',
        'SmallBoxFilter',
        'SmallObjectMosaic',
    ]
