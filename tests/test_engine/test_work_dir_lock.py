# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""One training at a time in a work-dir."""

import multiprocessing
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from smallobj_mm.engine.work_dir_lock import LOCK, locked_work_dir
from smallobj_mm.utils.errors import UserError

FORK = multiprocessing.get_context('fork')


def hold(work_dir: str, ready: Any, leave: Any) -> None:
    """A training with a worker of its data loader, which may outlive it."""
    with locked_work_dir(work_dir):
        worker = subprocess.Popen(['sleep', '60'], close_fds=False)
        ready.put(worker.pid)
        leave.wait(30)
        worker.kill()


def test_a_second_training_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    work_dir = str(tmp_path / 'work')
    ready, leave = FORK.Queue(), FORK.Event()
    first = FORK.Process(target=hold, args=(work_dir, ready, leave))
    first.start()
    worker = ready.get(timeout=30)
    try:
        with pytest.raises(UserError) as caught, locked_work_dir(work_dir):
            pass
        said = str(caught.value)
        assert said.startswith(f'{work_dir}: another training runs in it (process {first.pid} on ')
        assert 'give another --work-dir' in said and '\n' not in said
        first.kill()
        first.join(30)
        with locked_work_dir(work_dir):  # although its worker lives on
            assert f'"process": {os.getpid()}' in Path(work_dir, LOCK).read_text()
    finally:
        os.kill(worker, signal.SIGKILL)


def test_a_training_that_ended(tmp_path: Path) -> None:
    work_dir, ready, leave = str(tmp_path), FORK.Queue(), FORK.Event()
    first = FORK.Process(target=hold, args=(work_dir, ready, leave))
    first.start()
    ready.get(timeout=30)
    leave.set()
    first.join(30)
    assert first.exitcode == 0
    with locked_work_dir(work_dir):
        pass


@pytest.mark.parametrize(('launcher', 'name'), [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID')])
def test_processes_of_one_run(
    launcher: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first holds the lock, the others go on."""
    ready, leave = FORK.Queue(), FORK.Event()
    first = FORK.Process(target=hold, args=(str(tmp_path), ready, leave))
    first.start()
    ready.get(timeout=30)
    monkeypatch.setenv(name, '1')
    with locked_work_dir(str(tmp_path), launcher):
        pass
    monkeypatch.setenv(name, '0')
    with (
        pytest.raises(UserError, match='another training'),
        locked_work_dir(str(tmp_path), launcher),
    ):
        pass
    leave.set()
    first.join(30)


def test_a_work_dir_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='file/work: cannot be written .*--work-dir'):
        with locked_work_dir(str(tmp_path / 'file' / 'work')):
            pass
