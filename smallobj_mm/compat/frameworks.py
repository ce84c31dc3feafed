# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Which frameworks of the OpenMMLab stack are installed."""

from importlib.util import find_spec


def has_framework(name: str) -> bool:
    """Whether a framework such as ``'mmdet'`` is installed; it is not imported.

    A framework that is installed but broken counts as there: its own error tells more than a
    component that is silently missing.
    """
    return find_spec(name) is not None
