# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Minimum versions of the OpenMMLab stack in its maintained form (OneDL); no maximum."""

from importlib import metadata
from typing import Dict, List

from packaging.version import Version

#: import name -> (distribution of OneDL, distribution of OpenMMLab, minimum version)
MINIMUM = {
    'mmcv': ('onedl-mmcv', 'mmcv', '2.3.6'),
    'mmengine': ('onedl-mmengine', 'mmengine', '0.10.12'),
    'mmdet': ('onedl-mmdetection', 'mmdet', '3.5.1'),
    'mmseg': ('onedl-mmsegmentation', 'mmsegmentation', '1.4.2'),
    'mmpretrain': ('onedl-mmpretrain', 'mmpretrain', '1.3.6'),
}


def installed_versions() -> Dict[str, str]:
    """Version of PyTorch and of each installed distribution of the stack, by distribution name."""
    versions = {}
    for name in ['torch', *(name for names in MINIMUM.values() for name in names[:2])]:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


#: From here on reading a checkpoint as plain tensors has no known hole. From 2.6 on, the oldest
#: that can be installed with this package, no file runs code in the known ways.
SAFE_TORCH = '2.10'


def version_warnings() -> List[str]:
    """One line for each distribution that is older than tested or not the maintained one."""
    versions = installed_versions()
    lines = []
    torch = versions.get('torch')
    if torch is not None and Version(torch) < Version(SAFE_TORCH):
        lines.append(
            f'PyTorch {torch}: a crafted checkpoint can corrupt memory when it is read '
            f'(CVE-2026-24747, fixed in {SAFE_TORCH}); use a newer one, or read only checkpoints '
            'that you trust'
        )
    for package, (onedl, original, minimum) in MINIMUM.items():
        if onedl in versions:
            if Version(versions[onedl]) < Version(minimum):
                lines.append(
                    f'{onedl} {versions[onedl]} is older than {minimum}, the oldest version that '
                    f"smallobj_mm is tested with; run `pip install '{onedl}>={minimum}'`"
                )
        elif original in versions:
            lines.append(
                f'{package} comes from {original} {versions[original]}; smallobj_mm is tested with '
                f'{onedl}>={minimum} (same import name); replace one by the other, do not '
                'install both'
            )
    return lines
