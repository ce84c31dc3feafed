# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A tool in a process of its own: its output, its status, the package that it imports."""

import sys

import pytest

import smallobj_mm
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.processes import read_tool_output, run_tool


@pytest.fixture
def echo(tmp_path):
    """A tool that prints its command line and where it finds the package."""
    tool = tmp_path / 'echo.py'
    tool.write_text(
        'import importlib.util, json, sys\n'
        'origin = importlib.util.find_spec("smallobj_mm").origin\n'
        'print(json.dumps([*sys.argv[1:], origin]))\n'
    )
    return tool


@pytest.fixture
def failing(tmp_path):
    tool = tmp_path / 'failing.py'
    tool.write_text('import sys\nprint("no such image", file=sys.stderr)\nsys.exit(3)\n')
    return tool


def test_arguments_and_package(echo, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    run_tool(echo, tmp_path / 'a b', 3, '--resume')
    printed = f'["{tmp_path / "a b"}", "3", "--resume", "{smallobj_mm.__file__}"]\n'
    assert capfd.readouterr().out == printed
    assert read_tool_output(echo, tmp_path / 'a b', 3, '--resume') == printed


def test_announcement(echo, capfd):
    run_tool(echo, 1, announce=True)
    first, second = capfd.readouterr().out.splitlines()
    assert first == f'== {echo} 1' and sys.executable not in first
    assert second.startswith('["1"')


def test_failing_tool(failing, capfd):
    with pytest.raises(SystemExit) as stop:
        run_tool(failing)
    assert stop.value.code == 3
    assert capfd.readouterr().err == 'no such image\n'
    with pytest.raises(UserError, match='^failing.py: exit status 3; .* no such image$'):
        read_tool_output(failing)
