# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A killed and resumed run ends where an uninterrupted one does."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
import torch

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which kill_and_resume.py has trained."""
    folder = tmp_path_factory.mktemp('runs')
    done = subprocess.run(
        [sys.executable, str(HERE / 'kill_and_resume.py'), str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        env=dict(
            os.environ,
            OMP_NUM_THREADS='1',
            CUDA_VISIBLE_DEVICES='',
            PYTHONPATH=str(HERE.parents[1]),
        ),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def flat(node: Any, name: str = '') -> Iterator[tuple[str, torch.Tensor]]:
    """All tensors of nested containers with their names."""
    if torch.is_tensor(node):
        yield name, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from flat(value, f'{name}.{key}')
    elif isinstance(node, list):
        for key, value in enumerate(node):
            yield from flat(value, f'{name}.{key}')


@pytest.mark.parametrize(
    'whole, resumed',
    [('full0', 'killed0'), ('full2', 'killed2'), ('full0', 'writing0')],
    ids=['main process', '2 workers', 'killed while writing'],
)
def test_same_end(runs: Path, whole: str, resumed: str) -> None:
    """Weights, averaged weights, BN statistics and momentum agree after a SIGKILL in epoch 3."""
    ends = [torch.load(runs / name / 'end.pth') for name in (whole, resumed)]
    first, second = (dict(flat(end)) for end in ends)
    assert ends[0]['iter'] == ends[1]['iter'] == 16
    assert first.keys() == second.keys() and len(first) > 20
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=1e-5, msg=name)


def test_runs_are_random(runs: Path) -> None:
    """The comparison would be empty if nothing drew random numbers: workers draw others."""
    conv = [
        torch.load(runs / name / 'end.pth')['model']['conv.weight'] for name in ('full0', 'full2')
    ]
    assert (conv[0] - conv[1]).abs().max() > 1e-4


def test_killed_while_writing(runs: Path) -> None:
    """The previous checkpoint and its pointer are untouched; what is left over goes away."""
    after = (runs / 'after_kill.txt').read_text().splitlines()
    assert after[-1] == 'epoch_2.pth' and 'epoch_2.pth' in after[:-1]
    assert 'epoch_3.pth' not in after
    assert sum(name.endswith('.tmp') for name in after) == 1
    names = [one.name for one in (runs / 'writing0').iterdir()]
    assert not [name for name in names if name.endswith('.tmp')]
    assert [name for name in names if name.startswith('epoch_')] == ['epoch_4.pth']
    assert len([name for name in names if name.startswith('best_')]) == 1
