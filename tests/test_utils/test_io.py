# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Atomic writers."""

import json
import os

import pytest

from smallobj_mm.utils import io


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


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    (tmp_path / 'plain').write_bytes(b'')
    io.atomic_write_bytes(tmp_path / 'atomic', b'')
    assert (tmp_path / 'atomic').stat().st_mode == (tmp_path / 'plain').stat().st_mode
