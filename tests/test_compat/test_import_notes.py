# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

from smallobj_mm.compat.import_notes import NOTE, without_import_notes


def test_the_notes_alone_are_left_out(capsys):
    with without_import_notes():
        print('before')
        print(NOTE)
        print(NOTE + '. Skipping OneDL datasets.')
        print('a line in', 'two parts', end='')
    print(', and after')
    assert capsys.readouterr().out == 'before\na line in two parts, and after\n'


def test_what_was_printed_before_an_error_is_kept(capsys):
    with pytest.raises(ValueError, match='inside'), without_import_notes():
        print('printed', end='')
        raise ValueError('inside')
    assert capsys.readouterr().out == 'printed'


def test_importing_the_package_prints_nothing():
    done = subprocess.run(
        [sys.executable, '-c', 'import smallobj_mm'], capture_output=True, text=True, check=True
    )
    assert done.stdout == ''
