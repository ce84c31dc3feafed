# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Errors in one line."""

import errno
import subprocess
import sys

import pytest
from torch.utils.data import DataLoader, Dataset

from smallobj_mm.compat.mmcv_ext import MissingOperatorError, OperatorModule
from smallobj_mm.utils.errors import errors_in_one_line, one_line
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
        'from smallobj_mm.utils.errors import UserError, errors_in_one_line\n'
        'with errors_in_one_line():\n'
        "    raise UserError('--out: expected another name')\n"
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


def test_a_full_disk_is_one_line(capsys):
    """Also where a library writes, which may not name its file."""
    for name, said in ((None, 'a file'), ('run/x.json', 'run/x.json')):
        with pytest.raises(SystemExit) as stop, errors_in_one_line():
            raise OSError(errno.ENOSPC, 'No space left on device', name)
        line = capsys.readouterr().err
        assert stop.value.code == 2 and line.count('\n') == 1
        assert line.startswith(f'error: {said}: cannot be written (')
        assert line.endswith('free some space\n')
    with pytest.raises(OSError, match='Connection'), errors_in_one_line():
        raise ConnectionResetError(errno.ECONNRESET, 'Connection reset')


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv('SMALLOBJ_MM_DEBUG', '1')
    with pytest.raises(MissingOperatorError), errors_in_one_line():
        OperatorModule().roi_align_forward()


def test_one_line():
    assert one_line(KeyError('no such key')) == 'no such key'
    assert one_line(ValueError()) == 'ValueError'


class Broken(Dataset):
    """Raises what it is told in the process that loads."""

    def __init__(self, cause):
        self.cause = cause

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.cause()


def missing_file():
    open('no such image.png')


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize(
    ('cause', 'said'),
    [
        (OperatorModule().roi_align_forward, "mmcv operator 'roi_align_forward'"),
        (missing_file, "[Errno 2] No such file or directory: 'no such image.png'"),
    ],
)
def test_an_error_from_a_worker_of_a_loader(capsys, workers, cause, said):
    with pytest.raises(SystemExit), errors_in_one_line():
        list(DataLoader(Broken(cause), num_workers=workers))
    error = capsys.readouterr().err
    assert (
        error.startswith(f'error: {said}') and error.count('\n') == 1 and 'Traceback' not in error
    )


def test_a_defect_in_a_worker_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError, match='Original Traceback'), errors_in_one_line():
        list(DataLoader(Broken(lambda: 1 / 0), num_workers=1))
