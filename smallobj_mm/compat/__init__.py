# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What lets the OpenMMLab stack import where its compiled operators are missing.

``activate()`` is the first thing that ``smallobj_mm`` and every tool run. Nothing is replaced
where the real thing is there.
"""

import logging
import multiprocessing
import os
from typing import Tuple

from . import mmcv_ext, torchvision_ops
from .import_notes import without_import_notes
from .mmcv_ext import MissingOperatorError
from .versions import version_warnings

__all__ = ['MissingOperatorError', 'activate', 'description', 'without_import_notes']

logger = logging.getLogger('smallobj_mm.compat')

_active: Tuple[str, ...] = ()
_done = False


def _speaks() -> bool:
    """Only the main process of rank 0 logs: one line a run, not one a worker."""
    return multiprocessing.parent_process() is None and os.environ.get('RANK', '0') == '0'


def activate() -> Tuple[str, ...]:
    """Put in place what is missing; later calls do nothing.

    Returns:
        tuple[str]: What is active: any of 'torchvision' (its operators are defined here) and
        'mmcv' (``mmcv._ext`` is provided here).
    """
    global _active, _done
    if _done:
        return _active
    _done = True
    active = []
    if torchvision_ops.activate():
        active.append('torchvision')
    if mmcv_ext.activate():
        active.append('mmcv')
    _active = tuple(active)
    if _speaks():
        if _active:
            logger.debug('%s', description())
        # Level WARNING: at import no handler is set up yet, and a line at INFO would be lost.
        for line in version_warnings():
            logger.warning('compat: %s', line)
    return _active


def description() -> str:
    """One line that says what stands in for compiled operators; empty where nothing does."""
    if not _active:
        return ''
    rest = '; any other operator of mmcv raises an error when called' if 'mmcv' in _active else ''
    return (
        f'compat: no compiled operators of {" and ".join(_active)} here: nms and soft_nms run in '
        f'NumPy and PyTorch, with the same results{rest}'
    )
