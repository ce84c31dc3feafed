# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Trained models on images of any size: files, folders, arrays and videos."""

from .inferencer import SmallObjectInferencer
from .result import Result
from .sources import Source, list_sources
from .targets import Targets, box_targets, find_targets, mask_targets

__all__ = [
    'Result',
    'SmallObjectInferencer',
    'Source',
    'Targets',
    'box_targets',
    'find_targets',
    'list_sources',
    'mask_targets',
]
