# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Mean and spread of a metric over runs that differ in their seed alone."""

import json
import re
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

from smallobj_mm.utils.errors import UserError

#: What stands between the name of a group and the number of a seed: random_seed0, random-s1.
_SEED = re.compile(r'[-_](?:seed|s)[-_]?\d+$')


@dataclass
class Spread:
    """Values of one metric of one group of runs.

    Attributes:
        values: The metric of each run.
    """

    values: List[float]

    @property
    def mean(self) -> float:
        """The mean of the runs."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> Optional[float]:
        """The sample standard deviation (n - 1), None for a single run."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def __str__(self) -> str:
        """Mean and deviation to four digits."""
        return f'{self.mean:.4f}' if self.std is None else f'{self.mean:.4f} ± {self.std:.4f}'


def read_records(work_dir: Union[str, Path]) -> List[Dict[str, float]]:
    """The lines of a run's logs, of the training and of evaluations, in the order of the files.

    Args:
        work_dir: Folder of a run of ``tools/train.py``; a resumed run has several logs in it.

    Raises:
        FileNotFoundError: There is no log in the folder.
        UserError: A log is damaged.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(
            f'{work_dir}: no */vis_data/scalars.json, expected the work-dir of a run'
        )
    records = []
    for file in files:
        for number, line in enumerate(file.read_text(encoding='utf-8').splitlines(), start=1):
            try:
                records.append(json.loads(line))
            except ValueError:
                raise UserError(f'{file}, line {number}: not readable as JSON') from None
    return records


def is_evaluation(record: Dict[str, float]) -> bool:
    """Whether a record is of an evaluation: those of training have a loss, metrics a prefix."""
    return any('/' in name for name in record) and 'loss' not in record


def read_curve(work_dir: Union[str, Path], name: str) -> List[Tuple[float, float]]:
    """A value over the steps of a run, such as ``loss`` or ``smallobj/AP50``.

    Args:
        work_dir: Folder of a run.
        name: As in the log.

    Returns:
        ``(step, value)`` in rising order; of a step that was repeated after a restart the last.
        The step of an evaluation is its epoch, or iteration where training counts these.
    """
    values = {r['step']: r[name] for r in read_records(work_dir) if name in r and 'step' in r}
    return sorted(values.items())


def main_metric(work_dir: Union[str, Path]) -> Optional[str]:
    """The metric of a run that people look at: AP50, else the first of its evaluations.

    Returns:
        Its name in the log; None if nothing was evaluated.
    """
    try:
        names = [name for name in read_last_metrics(work_dir) if '/' in name]
    except UserError:
        return None
    ends = ('/AP50', '/bbox_mAP_50', '/mAP', '/IoU', '/mIoU')
    return next((name for end in ends for name in names if name.endswith(end)), names[0])


def read_last_metrics(work_dir: Union[str, Path]) -> Dict[str, float]:
    """The metrics of the last evaluation in a work-dir.

    Args:
        work_dir: Folder of a run; the record with the highest step counts.

    Returns:
        The metrics by their names in the log, and ``step``, the epoch or iteration.

    Raises:
        FileNotFoundError: There is no log in the folder.
        UserError: A log is damaged, or no evaluation is in any.
    """
    best: Dict[str, float] = {}
    for record in read_records(work_dir):
        if is_evaluation(record) and record.get('step', 0) >= best.get('step', 0):
            best = record
    if not best:
        raise UserError(f'{work_dir}: its logs hold no evaluation; let the run end first')
    return best


def summarize_runs(
    work_dirs: Sequence[Union[str, Path]], metrics: Sequence[str]
) -> Dict[str, Dict[str, Spread]]:
    """Metrics of groups of runs.

    Args:
        work_dirs: Folders named ``GROUP_seed0``, ``GROUP_seed1`` and so on; a folder without a
            seed in its name is a group of its own.
        metrics: Names as in the log, such as ``smallobj/AP50``.

    Returns:
        Group to metric to values, groups in the order of their first folder.

    Raises:
        UserError: A run lacks a metric, or runs of a group were evaluated at different steps.
    """
    groups: Dict[str, Dict[str, Spread]] = {}
    steps: Dict[str, float] = {}
    for work_dir in work_dirs:
        group = _SEED.sub('', Path(work_dir).resolve().name)
        record = read_last_metrics(work_dir)
        missing = [name for name in metrics if name not in record]
        if missing:
            known = sorted(name for name in record if '/' in name)
            raise UserError(f'{work_dir}: no metric {missing[0]!r}, expected one of {known}')
        if steps.setdefault(group, record['step']) != record['step']:
            raise UserError(
                f'{work_dir}: evaluated at step {record["step"]}, other runs of {group!r} at '
                f'{steps[group]}; compare runs of equal length'
            )
        spreads = groups.setdefault(group, {name: Spread([]) for name in metrics})
        for name in metrics:
            spreads[name].values.append(record[name])
    return groups


def markdown_table(groups: Dict[str, Dict[str, Spread]]) -> str:
    """A table of :func:`summarize_runs`: mean ± sample standard deviation, a line a group."""
    metrics = list(next(iter(groups.values())))
    lines = [
        '| runs | n | ' + ' | '.join(name.split('/')[-1] for name in metrics) + ' |',
        '|---|---|' + '---|' * len(metrics),
    ]
    for group, spreads in groups.items():
        count = len(spreads[metrics[0]].values)
        cells = ' | '.join(str(spreads[name]) for name in metrics)
        lines.append(f'| {group} | {count} | {cells} |')
    return '\n'.join(lines)
