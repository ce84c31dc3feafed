# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Train, be killed, resume: run by test_resume.py in a process of its own.

Each run is a forked child, so that SIGKILL ends a real process and the imports are paid once.
Usage: python kill_and_resume.py FOLDER
"""

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch  # noqa: E402
from mmengine.hooks import Hook  # noqa: E402
from tiny import build_runner  # noqa: E402

from smallobj_mm.checkpoints import use_safe_loader  # noqa: E402

EPOCHS, KILLED_EPOCH, KILLED_BATCH = 4, 2, 1


class KillHook(Hook):
    """SIGKILL in the middle of the third epoch."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.epoch == KILLED_EPOCH and batch_idx == KILLED_BATCH:
            os.kill(os.getpid(), signal.SIGKILL)


class KillWhileWritingHook(Hook):
    """SIGKILL when the third epoch's checkpoint is written but not in its place."""

    def before_train_epoch(self, runner) -> None:
        if runner.epoch == KILLED_EPOCH:
            os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)


def train(folder: Path, num_workers: int, resume: bool = False, hook: Hook | None = None) -> None:
    runner = build_runner(
        folder,
        max_epochs=EPOCHS,
        num_workers=num_workers,
        resume=resume,
        accumulative_counts=2,
        hooks=(hook,) if hook else (),
    )
    runner.train()
    ema = next(one for one in runner.hooks if type(one).__name__ == 'StepEMAHook').ema_model
    momentum = [
        state['momentum_buffer']
        for state in runner.optim_wrapper.optimizer.state_dict()['state'].values()
    ]
    torch.save(
        dict(
            model=runner.model.state_dict(),
            ema=ema.state_dict(),
            momentum=momentum,
            iter=runner.iter,
        ),
        folder / 'end.pth',
    )


def in_child(*args, **kwargs) -> int:
    """Fork, train, and return the wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            torch.set_num_threads(1)
            train(*args, **kwargs)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    return os.waitpid(pid, 0)[1]


def main(folder: Path) -> None:
    use_safe_loader()
    for workers in (0, 2):
        assert in_child(folder / f'full{workers}', workers) == 0
        killed = folder / f'killed{workers}'
        status = in_child(killed, workers, hook=KillHook())
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
        time.sleep(1.1)  # work_dir/TIMESTAMP has a resolution of seconds
        assert in_child(killed, workers, resume=True) == 0
    writing = folder / 'writing0'
    status = in_child(writing, 0, hook=KillWhileWritingHook())
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
    (folder / 'after_kill.txt').write_text(
        '\n'.join(
            [
                *sorted(one.name for one in writing.iterdir()),
                Path((writing / 'last_checkpoint').read_text()).name,
            ]
        )
    )
    assert in_child(writing, 0, resume=True) == 0


if __name__ == '__main__':
    main(Path(sys.argv[1]))
