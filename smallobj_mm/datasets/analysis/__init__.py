# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What a data set says about the detector that it needs."""

from smallobj_mm.compat.frameworks import has_framework

from .advice import Advice, advise, config_lines
from .box_table import BoxTable, count_overlaps, tabulate
from .near_duplicates import NearDuplicates, find_near_duplicates, perceptual_hash

__all__ = [
    'Advice',
    'BoxTable',
    'NearDuplicates',
    'advise',
    'config_lines',
    'count_overlaps',
    'find_near_duplicates',
    'perceptual_hash',
    'tabulate',
]

if has_framework('mmdet') and has_framework('mmseg'):
    from .opening import open_datasets

    __all__ += ['open_datasets']
