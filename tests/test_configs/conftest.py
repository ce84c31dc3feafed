# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The configs as fixtures: all of them, or those of the folder that a test module names."""

import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

import smallobj_mm  # noqa: F401

# pytest adds no folder with --import-mode=importlib.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from shipped import CONFIGS, LEAVES  # noqa: E402


def pytest_generate_tests(metafunc) -> None:
    """A module's ``FAMILY`` is the folder below configs/ that it tests."""
    if 'leaf' in metafunc.fixturenames:
        family = getattr(metafunc.module, 'FAMILY', '')
        names = [name for name in LEAVES if name.startswith(family)]
        metafunc.parametrize('leaf', [CONFIGS / name for name in names], ids=names)


@pytest.fixture
def cfg(leaf):
    """The config, in its own default scope."""
    cfg = Config.fromfile(leaf)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        yield cfg
