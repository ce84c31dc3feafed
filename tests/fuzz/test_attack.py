# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The short form of the attack: some damaged files of each kind, in this process."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import attack  # noqa: E402
import kinds  # noqa: E402
from mutations import mutate  # noqa: E402

COUNT = 40


@pytest.mark.parametrize('kind', kinds.KINDS, ids=lambda kind: kind.name)
def test_sound_files_are_read(tmp_path, kind):
    outcomes = [attack.attack(kind, data, tmp_path)[0] for data in kind.samples]
    expected = 'one line' if kind.name == 'Radiance' else 'read'
    assert outcomes == [expected] * len(kind.samples)


@pytest.mark.parametrize('kind', kinds.KINDS, ids=lambda kind: kind.name)
def test_damaged_files_are_read_or_one_line(tmp_path, kind):
    found = [attack.attack(kind, attack.subject(kind, n), tmp_path) for n in range(COUNT)]
    wrong = [(n, *one) for n, one in enumerate(found) if one[0] not in ('read', 'one line')]
    assert not wrong
    assert sum(outcome == 'one line' for outcome, _ in found) >= 5, 'the damage is no damage'


def test_damage_is_the_same_everywhere():
    data = bytes(range(256)) * 4
    first, second = (
        [mutate(data, np.random.default_rng(n), is_text=bool(n % 2)) for n in range(50)]
        for _ in range(2)
    )
    assert first == second and len(set(first)) > 45


def test_a_process_that_dies_or_hangs_is_counted(monkeypatch, tmp_path):
    def read(path):
        code = Path(path).read_bytes()[:1]
        if code == b'd':
            os._exit(3)
        if code == b'h':
            time.sleep(60)

    kind = kinds.Kind('toy', '.x', False, [b'd', b'h', b'r'], read)
    monkeypatch.setattr(kinds, 'KINDS', [kind])
    monkeypatch.setattr(attack, 'SECONDS', 1)
    monkeypatch.setattr(attack, 'mutate', lambda data, rng, is_text: data)
    found = attack.run(kind, 6)
    outcomes = [outcome for outcome, _ in found]
    assert outcomes == ['process died', 'too slow', 'read'] * 2
    lines = attack.table({'toy': attack.Counter(outcomes)}).splitlines()
    assert lines[2] == '| toy | 6 | 2 | 0 | 0 | 0 | 2 | 2 |' and lines[3].startswith('| together')
