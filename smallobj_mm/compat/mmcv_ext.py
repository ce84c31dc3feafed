# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A module in the place of ``mmcv._ext`` where mmcv was installed without its operators."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Callable

from . import nms as _nms

EXT_NAME = 'mmcv._ext'


class MissingOperatorError(RuntimeError):
    """An operator of mmcv was called that only its compiled extension has."""


def _missing(name: str) -> Callable:
    """A function that takes anything and says what is missing and how to get it."""

    def operator(*_args: object, **_kwargs: object) -> None:
        raise MissingOperatorError(
            f"mmcv operator '{name}' is not available: the installed onedl-mmcv has no compiled "
            'operators and smallobj_mm.compat provides only nms and softnms; compile it with '
            '`MMCV_WITH_OPS=1 pip install --no-build-isolation --no-binary onedl-mmcv '
            '--force-reinstall --no-deps onedl-mmcv` (needs a C++ compiler, 30-40 CPU minutes)'
        )

    operator.__name__ = name
    return operator


def _no_compiler() -> str:
    """What ``mmcv.ops.info`` reports as compiler: environment listings must not fail."""
    return 'n/a (no compiled operators)'


class OperatorModule(ModuleType):
    """Stands in for ``mmcv._ext``: every name exists, those not implemented raise when called.

    mmcv asks for the names when it is imported, so they must exist; only a call is an error.
    """

    def __init__(self) -> None:
        super().__init__(EXT_NAME, 'Operators of mmcv in PyTorch, put here by smallobj_mm.compat.')
        # importlib.util.find_spec raises on a module in sys.modules that has no spec.
        self.__spec__ = ModuleSpec(EXT_NAME, loader=None, origin='smallobj_mm.compat')
        self.nms = _nms.nms
        self.softnms = _nms.softnms
        self.get_compiler_version = _no_compiler
        self.get_compiling_cuda_version = _no_compiler

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(f'module {EXT_NAME!r} has no attribute {name!r}')
        return _missing(name)


def activate() -> bool:
    """Put the module in place if mmcv is installed and its extension is not.

    Returns:
        bool: Whether this call put it in place.
    """
    if EXT_NAME in sys.modules:
        return False
    mmcv = importlib.util.find_spec('mmcv')  # does not import it
    if mmcv is None or mmcv.submodule_search_locations is None:
        return False
    if PathFinder.find_spec(EXT_NAME, mmcv.submodule_search_locations) is not None:
        return False
    sys.modules[EXT_NAME] = OperatorModule()
    return True
