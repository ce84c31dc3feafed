# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Golden values of the authors' own programs."""

import contextlib
import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
import torch


@pytest.fixture(scope='session')
def golden(golden_dir: Path):
    """Reads ``NAME.npz`` as tensors (strings stay arrays)."""

    def read(name: str) -> dict:
        arrays = np.load(golden_dir / f'{name}.npz')
        return {
            k: torch.from_numpy(arrays[k]) if arrays[k].dtype.kind in 'iuf' else arrays[k]
            for k in arrays
        }

    return read


@pytest.fixture(scope='session')
def authors_state_dict(golden_dir: Path):
    """Makes the authors-style state dict of a golden model."""
    spec = importlib.util.spec_from_file_location('values', golden_dir / 'reference_values.py')
    values = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(values)
    return lambda model: values.reference_state_dict(golden_dir / f'{model}_authors_keys.json')


@pytest.fixture(scope='session')
def convert(load_tool):
    """Function that runs ``authors_to_mm.py MODEL SOURCE TARGET``; what it printed."""
    tool = load_tool('model_converters/authors_to_mm')

    def run(model: str, source: Path, target: Path) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            tool.main([model, str(source), str(target)])
        return printed.getvalue()

    return run
