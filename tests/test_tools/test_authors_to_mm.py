# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The command alone; the conversions are tested with the models and in tests/reference_parity."""

import runpy
import sys

import pytest
import torch


@pytest.mark.parametrize('name', ['ours.safetensors', 'ours.pt', 'ours'])
def test_ending_of_the_output(name, repo_root, tmp_path, monkeypatch, capsys):
    """Said first: what is written is a file of torch.save, whatever its name."""
    tool = str(repo_root / 'tools/model_converters/authors_to_mm.py')
    torch.save({}, tmp_path / 'theirs.pth')
    out = tmp_path / name
    arguments = [tool, 'obsdm', str(tmp_path / 'theirs.pth'), str(out)]
    monkeypatch.setattr(sys, 'argv', arguments)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(tool, run_name='__main__')
    assert stop.value.code == 2 and not out.exists()
    assert f'{out}: expected a name that ends in .pth' in capsys.readouterr().err


@pytest.mark.parametrize('model', ['detsim', 'ismallnet', 'obsdm'])
@pytest.mark.parametrize('state', [{'no.such.layer': torch.ones(1)}, {0: torch.ones(1)}, {}, [1]])
def test_errors_name_the_file(model, state, repo_root, tmp_path, monkeypatch, capsys):
    tool = str(repo_root / 'tools/model_converters/authors_to_mm.py')
    theirs = tmp_path / 'theirs.pth'
    torch.save({'state_dict': state}, theirs)
    monkeypatch.setattr(sys, 'argv', [tool, model, str(theirs), str(tmp_path / 'ours.pth')])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(tool, run_name='__main__')
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.startswith(f'error: {theirs}: ')
