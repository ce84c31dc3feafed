# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

from smallobj_mm.compat.package_names import use_onedl_names


@pytest.mark.parametrize(
    ('framework', 'base'),
    [
        ('mmdet', '_base_/default_runtime.py'),
        ('mmseg', '_base_/default_runtime.py'),
        ('mmpretrain', '_base_/default_runtime.py'),
    ],
)
def test_bases_of_every_framework(framework, base, tmp_path):
    """Whatever the distribution is called that a framework comes in."""
    pytest.importorskip(framework)
    (tmp_path / 'mine.py').write_text(f"_base_ = ['{framework}::{base}']\nmine = 1\n")
    cfg = Config.fromfile(tmp_path / 'mine.py')
    assert cfg.mine == 1 and cfg.default_scope == framework


def test_names_that_are_installed_stay(monkeypatch):
    monkeypatch.setitem(MODULE2PACKAGE, 'mmseg', 'numpy')
    monkeypatch.setitem(MODULE2PACKAGE, 'mmcls', 'no_such_package')
    before = dict(MODULE2PACKAGE)
    use_onedl_names()
    assert before == MODULE2PACKAGE
