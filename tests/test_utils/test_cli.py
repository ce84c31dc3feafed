# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Errors in one line."""

import subprocess
import sys

import pytest

from smallobj_mm.compat.mmcv_ext import MissingOperatorError, OperatorModule
from smallobj_mm.utils.cli import errors_in_one_line, one_line
from smallobj_mm.utils.io import atomic_write_json


def test_an_error_of_the_package_is_one_line(capsys):
    with pytest.raises(SystemExit) as stop, errors_in_one_line():
        OperatorModule().roi_align_forward()
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: mmcv operator 'roi_align_forward'") and said.count('\n') == 1


def test_a_missing_file_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit), errors_in_one_line():
        open(tmp_path / 'missing\nname')
    assert capsys.readouterr().err.count('\n') == 1


def test_an_error_of_a_tool_called_by_a_relative_path(tmp_path):
    tool = tmp_path / 'tool.py'
    tool.write_text(
        'from smallobj_mm.utils.cli import errors_in_one_line\n'
        'with errors_in_one_line():\n'
        "    raise ValueError('--out: expected another name')\n"
    )
    done = subprocess.run([sys.executable, 'tool.py'], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == 'error: --out: expected another name'
    assert 'Traceback' not in done.stderr


@pytest.mark.parametrize('cause', [lambda: 1 / 0, lambda: atomic_write_json('x', object())])
def test_a_defect_keeps_its_traceback(cause):
    """Also one that passes through the package without being raised by it on purpose."""
    with pytest.raises((ArithmeticError, TypeError)), errors_in_one_line():
        cause()


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv('SMALLOBJ_MM_DEBUG', '1')
    with pytest.raises(MissingOperatorError), errors_in_one_line():
        OperatorModule().roi_align_forward()


def test_one_line():
    assert one_line(KeyError('no such key')) == 'no such key'
    assert one_line(ValueError()) == 'ValueError'
