# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Where the folders of the repository lie that come with the package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def packaged_folders(name: str) -> tuple[Path, ...]:
    """The places of a folder such as ``configs``, which need not be there.

    Args:
        name: Of the folder.

    Returns:
        The link or copy in ``.mim`` of an installed package, the repository's own folder.
    """
    return _PACKAGE / '.mim' / name, _PACKAGE.parent / name
