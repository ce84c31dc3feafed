# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

pytest.importorskip('mmseg')

_TESTS = Path(__file__).resolve().parent.parent


@pytest.fixture(scope='session', autouse=True)
def toys_path():
    """The toy models of the inferencer's tests; configs import them by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(_TESTS / 'test_inference')  # toy models
        yield
