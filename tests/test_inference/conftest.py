# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import importlib
from pathlib import Path

import pytest

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')


@pytest.fixture(scope='session')
def toys():
    """The toy models; configs import them by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).resolve().parent)
        return importlib.import_module('infer_toys')


@pytest.fixture(scope='session')
def models(toys, tmp_path_factory):
    """Folder with det.py, det.pth, seg.py and seg.pth."""
    folder = tmp_path_factory.mktemp('models')
    toys.write_models(folder)
    return folder
