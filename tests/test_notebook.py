# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The notebook of the documentation runs, and is stored with its outputs."""

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')
pytest.importorskip('pandas', reason='pandas is not installed (extra results)')
sys.path.insert(0, str(Path(__file__).resolve().parent))

import notebook_runner  # noqa: E402

PAGE = Path(__file__).resolve().parents[1] / 'docs/first_look.ipynb'


@pytest.fixture(scope='module')
def notebook():
    return json.loads(PAGE.read_text(encoding='utf-8'))


def kinds(outputs):
    """What the outputs of a cell hold."""
    return [sorted(one.get('data', {'stream': 0})) for one in outputs]


def test_it_runs(notebook, monkeypatch):
    """Every cell gives what is stored of it: pictures, tables, text."""
    monkeypatch.setattr(sys, 'argv', ['notebook'])
    outputs = notebook_runner.execute(notebook, PAGE.parent)
    stored = [cell['outputs'] for cell in notebook['cells'] if cell['cell_type'] == 'code']
    assert list(map(kinds, outputs)) == list(map(kinds, stored))
    assert not (PAGE.parent / 'marked.jpg').exists()


def test_it_is_stored_with_small_outputs(notebook):
    assert PAGE.stat().st_size < 400_000
    pictures = [
        output['data']['image/jpeg']
        for cell in notebook['cells'] if cell['cell_type'] == 'code'
        for output in cell['outputs'] if 'image/jpeg' in output.get('data', {})
    ]  # fmt: skip
    assert len(pictures) >= 2
    assert '/root' not in PAGE.read_text() and 'Traceback' not in PAGE.read_text()


def test_imports_of_cells_stay(tmp_path):
    """A module that is imported a second time registers its components a second time."""
    before = dict(sys.modules)
    (tmp_path / 'imported_by_a_cell.py').write_text('')
    cell = dict(cell_type='code', source=["sys_path = __import__('sys').path\n",
                "sys_path.insert(0, '.')\n", 'import imported_by_a_cell\n',
                'del sys_path[0]\n', 'import IPython'])  # fmt: skip
    notebook_runner.execute(dict(cells=[cell]), tmp_path)
    assert sys.modules.pop('imported_by_a_cell') and dict(sys.modules) == before


def test_a_failing_cell_is_an_error(tmp_path):
    cell = dict(cell_type='code', source=['x = 1\n', 'x / 0'])
    with pytest.raises(ZeroDivisionError):
        notebook_runner.execute(dict(cells=[cell]), tmp_path)
    cell['source'] = ['print("a")\n', '1 + 1']
    (outputs,) = notebook_runner.execute(dict(cells=[dict(cell_type='markdown'), cell]), tmp_path)
    assert outputs[0]['text'] == 'a\n' and outputs[1]['data'] == {'text/plain': '2'}
