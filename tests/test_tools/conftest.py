# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Fixtures that several tools' tests share."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

TOYS = Path(__file__).resolve().parents[1] / 'test_inference'


@pytest.fixture(scope='module')
def toys() -> ModuleType:
    """The toy models and images of the inferencer's tests."""
    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOYS)
        return importlib.import_module('infer_toys')
