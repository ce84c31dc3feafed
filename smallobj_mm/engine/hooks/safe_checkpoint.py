# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints that survive being killed at any moment."""

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional, Union

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from smallobj_mm.checkpoints.file_backend import ATOMIC_BACKEND
from smallobj_mm.registry import HOOKS
from smallobj_mm.utils.io import atomic_write_text

#: What a killed process leaves of a file that utils.io was writing.
_LEFT_OVER = re.compile(r'\.(?:last_checkpoint|.+\.pth)\.\d+\.[0-9a-f]+\.tmp')


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """``CheckpointHook`` in an order that always leaves one complete checkpoint.

    The stock hook first removes the old checkpoint, then writes the new one in place, then
    truncates and writes ``last_checkpoint``. Here: write under a temporary name in the same
    folder, flush, rename; replace ``last_checkpoint`` in the same way; only then remove what is
    out of date. The same for the best checkpoint. Temporary files of a killed run are removed when
    training starts again.

    Args:
        interval: Epochs (iterations with ``by_epoch=False``) between checkpoints; -1 for none but
            the last.
        by_epoch: What ``interval`` counts.
        save_optimizer: Whether the optimizer's state is saved; without it nothing resumes.
        save_param_scheduler: Whether the schedules' state is saved.
        out_dir: Where to; defaults to the run's ``work_dir``. As in the stock hook, another folder
            gets the last part of ``work_dir`` appended.
        max_keep_ckpts: Checkpoints to keep besides the best; -1 for all.
        save_last: Whether the end of training is saved whatever ``interval`` says.
        save_best: Metric(s) whose best checkpoint is kept, or 'auto'.
        rule: 'greater' or 'less', for each metric.
        filename_tmpl: Name with one ``{}``; defaults to ``epoch_{}.pth`` or ``iter_{}.pth``.
        save_begin: Epoch (iteration) before which nothing is saved.

    Raises:
        UserError: The folder cannot be written, or the disk is full; what was there before is
            intact.
    """

    def __init__(
        self,
        interval: int = -1,
        by_epoch: bool = True,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        out_dir: Union[str, Path, None] = None,
        max_keep_ckpts: int = -1,
        save_last: bool = True,
        save_best: Union[str, list[str], None] = None,
        rule: Union[str, list[str], None] = None,
        filename_tmpl: Optional[str] = None,
        save_begin: int = 0,
    ) -> None:
        super().__init__(
            interval=interval,
            by_epoch=by_epoch,
            save_optimizer=save_optimizer,
            save_param_scheduler=save_param_scheduler,
            out_dir=None if out_dir is None else str(out_dir),
            max_keep_ckpts=max_keep_ckpts,
            save_last=save_last,
            save_best=save_best,
            rule=rule,
            filename_tmpl=filename_tmpl,
            save_begin=save_begin,
            backend_args=dict(backend=ATOMIC_BACKEND),
        )

    def before_train(self, runner: Runner) -> None:
        """Find the folder and clear away what a killed process was writing."""
        super().before_train(runner)
        if is_main_process():
            for folder in {str(self.out_dir), str(runner.work_dir)}:
                remove_left_overs(folder)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Write, point to it, then remove the oldest: the stock method in another order."""
        outdated = []
        if self.max_keep_ckpts > 0:
            kept = [saved for saved in self.keep_ckpt_ids if saved != step] + [step]
            outdated = kept[: -self.max_keep_ckpts]
            self.keep_ckpt_ids.clear()
            self.keep_ckpt_ids.extend(kept[-self.max_keep_ckpts :])
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
        )
        if not is_main_process():
            return
        atomic_write_text(os.path.join(runner.work_dir, 'last_checkpoint'), self.last_ckpt)
        for saved in outdated:
            self._remove(
                self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(saved))
            )

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Keep the previous best until the new one, and the last that names it, are written."""
        with self._removing_later() as outdated:
            super()._save_best_checkpoint(runner, metrics)
        current = {
            getattr(self, 'best_ckpt_path', None),
            *getattr(self, 'best_ckpt_path_dict', {}).values(),
        }
        for path in outdated:
            if path not in current:
                self._remove(path)

    @contextmanager
    def _removing_later(self) -> Iterator[list[str]]:
        """Collect what the stock method removes instead of removing it."""
        outdated: list[str] = []
        self.file_backend.remove = outdated.append
        try:
            yield outdated
        finally:
            del self.file_backend.remove

    def _remove(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)


def remove_left_overs(folder: str) -> list[str]:
    """Remove half-written checkpoints of a process that was killed.

    Args:
        folder: Where checkpoints are written; may be missing.

    Returns:
        The names of the removed files.
    """
    if not os.path.isdir(folder):
        return []
    names = [name for name in os.listdir(folder) if _LEFT_OVER.fullmatch(name)]
    for name in names:
        Path(folder, name).unlink(missing_ok=True)
    return names
