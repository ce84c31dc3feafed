# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The names under which mmengine looks for the packages of the stack."""

from mmengine.config.utils import MODULE2PACKAGE
from mmengine.utils import is_installed

from .versions import MINIMUM


def use_onedl_names() -> None:
    """Let bases such as ``mmseg::_base_/default_runtime.py`` be found in the maintained packages.

    mmengine asks for a distribution called ``mmsegmentation`` where ``onedl-mmsegmentation`` is
    installed. An entry of its (public) table is corrected where the package that it names is not
    there and the maintained one is. Tested with onedl-mmengine 0.10.12.
    """
    for module, (onedl, _, _) in MINIMUM.items():
        named = MODULE2PACKAGE.get(module)
        if named is not None and not is_installed(named) and is_installed(onedl):
            MODULE2PACKAGE[module] = onedl
