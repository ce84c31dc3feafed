# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

pytest.importorskip('mmseg')

_TESTS = Path(__file__).resolve().parent.parent


@pytest.fixture(scope='session', autouse=True)
def demo_path():
    """Modules of the demo import each other by name, as they do when demo/app.py runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(_TESTS / 'test_inference')  # toy models
        patch.syspath_prepend(_TESTS.parent / 'demo')
        yield
