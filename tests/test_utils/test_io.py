# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Atomic writers."""

import contextlib
import errno
import json
import os
import resource

import pytest

from smallobj_mm.utils import io
from smallobj_mm.utils.errors import UserError


def test_text_and_json(tmp_path):
    path = tmp_path / 'new' / 'a.json'
    io.atomic_write_json(path, {'a': [1, 'ü']}, indent=1)
    assert json.loads(path.read_text(encoding='utf-8')) == {'a': [1, 'ü']}
    io.atomic_write_text(path, 'zwölf')
    assert path.read_bytes() == 'zwölf'.encode()
    assert os.listdir(path.parent) == ['a.json']


@pytest.mark.parametrize('value', [float('nan'), object()])
def test_what_is_not_json_leaves_the_old_file(tmp_path, value):
    path = tmp_path / 'a.json'
    io.atomic_write_json(path, 1)
    with pytest.raises((TypeError, ValueError)):
        io.atomic_write_json(path, [value])
    assert path.read_text() == '1\n'


def test_an_error_half_way_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / 'a.bin'
    io.atomic_write_bytes(path, b'good')
    with pytest.raises(KeyboardInterrupt), io.atomic_file(path) as file:
        file.write(b'half')
        raise KeyboardInterrupt
    assert path.read_bytes() == b'good'
    assert os.listdir(tmp_path) == ['a.bin']


@contextlib.contextmanager
def limited(size):
    """Files of this process cannot grow beyond a size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize('size', [5000, 500_000], ids=['when flushed', 'while written'])
def test_a_full_disk_is_one_line_that_names_the_file(tmp_path, size):
    path = tmp_path / 'a.bin'
    io.atomic_write_bytes(path, b'good')
    with limited(1000), pytest.raises(UserError) as caught, io.atomic_file(path) as file:
        for _ in range(0, size, 100):
            file.write(b'x' * 100)
    message = str(caught.value)
    assert message.startswith(f'{path}: cannot be written (File too large)')
    assert 'unchanged; free some space' in message and '\n' not in message
    assert path.read_bytes() == b'good' and os.listdir(tmp_path) == ['a.bin']


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / 'a').write_bytes(b'')
    with pytest.raises(UserError, match='a/b/c.json: cannot be written .*check the folder'):
        io.atomic_write_json(tmp_path / 'a' / 'b' / 'c.json', 1)


def test_errors_of_other_files_keep_their_names(tmp_path):
    with pytest.raises(FileNotFoundError, match='absent'), io.atomic_file(tmp_path / 'a'):
        (tmp_path / 'absent').read_bytes()


def test_a_full_disk_where_a_library_writes(tmp_path):
    for name, said in ((None, f'a file in {tmp_path}'), ('x.json', 'x.json')):
        with pytest.raises(UserError, match=f'{said}: cannot be written .No space'):
            with io.naming_folder(tmp_path):
                raise OSError(errno.ENOSPC, 'No space left on device', name)
    with pytest.raises(PermissionError), io.naming_folder(tmp_path):
        raise PermissionError(errno.EACCES, 'Permission denied')


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    (tmp_path / 'plain').write_bytes(b'')
    io.atomic_write_bytes(tmp_path / 'atomic', b'')
    assert (tmp_path / 'atomic').stat().st_mode == (tmp_path / 'plain').stat().st_mode
