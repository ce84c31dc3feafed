# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Operators that torchvision needs to import where its own library does not load.

torchvision's default wheel is built against CUDA. Beside a CPU-only PyTorch its library cannot be
loaded, which it tolerates, and then its ``import`` fails because it registers shape functions for
``torchvision::nms`` and ``torchvision::qnms``, which do not exist.
"""

import importlib
import importlib.util
import sys
from typing import Optional

import torch
from torch import Tensor

from .nms import nms as _nms

_SCHEMAS = {
    'nms': 'nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    'qnms': 'qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
}

#: The registrations last as long as this object does.
_library: Optional[torch.library.Library] = None


def _nms_kernel(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """``torchvision::nms``: the same as mmcv's with offset 0."""
    return _nms(dets, scores, iou_threshold, offset=0)


def _qnms_kernel(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """``torchvision::qnms``: defined for the import only."""
    raise RuntimeError(
        f'torchvision::qnms (quantized NMS of {tuple(dets.shape)} boxes) is not available: the '
        'installed torchvision does not fit the installed PyTorch; install a torchvision wheel '
        'of the same build (CPU or CUDA) as torch'
    )


def _exists(name: str) -> bool:
    return hasattr(torch.ops.torchvision, name)


def _import_fails() -> bool:
    """Import torchvision the way it imports itself, and tell whether that ended in an error.

    Where its library lies and what loads it is torchvision's own business, and changes. After an
    error its modules are forgotten, so that the next import starts anew.
    """
    try:
        importlib.import_module('torchvision')
    except Exception:  # of whichever kind: what is missing is looked at afterwards
        for name in [name for name in sys.modules if name.partition('.')[0] == 'torchvision']:
            del sys.modules[name]
        return True
    return False


def activate() -> bool:
    """Define the operators that are missing where torchvision does not import without them.

    Returns:
        bool: Whether this call defined any.
    """
    global _library
    if 'torchvision' in sys.modules:  # imported already, so it has what it needs
        return False
    if importlib.util.find_spec('torchvision') is None:
        return False
    if not _import_fails() or _exists('nms'):  # what else is wrong, torchvision says itself
        return False
    _library = torch.library.Library('torchvision', 'FRAGMENT')
    for name, kernel in (('nms', _nms_kernel), ('qnms', _qnms_kernel)):
        if not _exists(name):
            _library.define(_SCHEMAS[name])
            _library.impl(name, kernel, 'CPU')
            _library.impl(name, kernel, 'CUDA')
    return True
