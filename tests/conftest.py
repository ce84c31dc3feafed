# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Fixtures shared by all tests."""

import importlib.util
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import smallobj_mm  # noqa: F401  (compat before anything imports torchvision or mmcv)

if 'OMP_NUM_THREADS' not in os.environ:  # threads that wait for a busy core slow each other down
    torch.set_num_threads(2)

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def fixed_seed() -> Iterator[None]:
    """Every test starts from the same random state, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    yield


@pytest.fixture(scope='session')
def repo_root() -> Path:
    """Root of the repository."""
    return _ROOT


@pytest.fixture(scope='session')
def load_tool() -> Callable[[str], ModuleType]:
    """Function that imports a tool anew by its path below ``tools``, without the ending."""

    def load(name: str) -> ModuleType:
        path = _ROOT / 'tools' / f'{name}.py'
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope='session')
def golden_dir() -> Path:
    """Folder of the golden values, which are part of the repository."""
    return _ROOT / 'tests/reference_parity/golden'


@pytest.fixture(scope='session')
def shared_dir() -> Path:
    """Folder of specs and real data; the test is skipped where there is none."""
    given = os.environ.get('SMALLOBJ_MM_SHARED')
    path = Path(given) if given else _ROOT.parent / 'shared'
    if not (path / 'spec').is_dir():
        pytest.skip(f'no shared folder at {path} (set SMALLOBJ_MM_SHARED to the folder with spec/)')
    return path
