# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import json

import pytest

from smallobj_mm.evaluation.run_summary import (
    main_metric,
    markdown_table,
    read_curve,
    read_last_metrics,
    summarize_runs,
)


def write_run(work_dir, *records, started='20260101_000000'):
    folder = work_dir / started / 'vis_data'
    folder.mkdir(parents=True)
    lines = [dict(loss=1.0, **{'loss/part': 0.5}, step=900), *records]
    (folder / 'scalars.json').write_text(''.join(json.dumps(line) + '\n' for line in lines))


def metric(value, step):
    return {'a/AP': value, 'a/AP50': 2 * value, 'time': 1.0, 'step': step}


def test_the_last_evaluation_counts(tmp_path):
    write_run(tmp_path / 'run', metric(0.1, 2), metric(0.2, 4))
    write_run(tmp_path / 'run', metric(0.3, 6), started='20260102_000000')  # resumed
    assert read_last_metrics(tmp_path / 'run') == metric(0.3, 6)


def test_curves(tmp_path):
    """Of a step that came again after a restart the last value counts."""
    write_run(tmp_path / 'run', metric(0.1, 2), metric(0.2, 4))
    write_run(tmp_path / 'run', metric(0.25, 4), metric(0.3, 6), started='20260102_000000')
    assert read_curve(tmp_path / 'run', 'a/AP') == [(2, 0.1), (4, 0.25), (6, 0.3)]
    assert read_curve(tmp_path / 'run', 'loss') == [(900, 1.0)]
    assert read_curve(tmp_path / 'run', 'b/AP') == []


def test_the_metric_that_people_look_at(tmp_path):
    write_run(tmp_path / 'boxes', metric(0.1, 2))
    assert main_metric(tmp_path / 'boxes') == 'a/AP50'
    write_run(tmp_path / 'classes', {'accuracy/top1': 3.0, 'step': 1})
    assert main_metric(tmp_path / 'classes') == 'accuracy/top1'
    write_run(tmp_path / 'none')
    assert main_metric(tmp_path / 'none') is None


def test_groups_by_name_without_seed(tmp_path):
    names = ['b_seed0', 'b_seed1', 'a-s2', 'a-s10', 'single']
    for value, name in enumerate(names):
        write_run(tmp_path / name, metric(value / 10, 4))
    groups = summarize_runs([tmp_path / name for name in names], ['a/AP'])
    assert list(groups) == ['b', 'a', 'single']
    assert groups['b']['a/AP'].mean == pytest.approx(0.05)
    assert groups['b']['a/AP'].std == pytest.approx(0.5**0.5 / 10)
    assert groups['single']['a/AP'].std is None
    table = markdown_table(groups).splitlines()
    assert table[0] == '| runs | n | AP |'
    assert table[2] == '| b | 2 | 0.0500 ± 0.0707 |'
    assert table[4] == '| single | 1 | 0.4000 |'


def test_runs_of_unequal_length_are_not_compared(tmp_path):
    write_run(tmp_path / 'a_seed0', metric(0.1, 4))
    write_run(tmp_path / 'a_seed1', metric(0.1, 3))
    with pytest.raises(ValueError, match="a_seed1: evaluated at step 3, other runs of 'a' at 4"):
        summarize_runs([tmp_path / 'a_seed0', tmp_path / 'a_seed1'], ['a/AP'])


def test_unknown_metric(tmp_path):
    write_run(tmp_path / 'a', metric(0.1, 4))
    with pytest.raises(ValueError, match="no metric 'a/AR', expected one of"):
        summarize_runs([tmp_path / 'a'], ['a/AR'])


def test_no_log(tmp_path):
    with pytest.raises(FileNotFoundError, match='expected the work-dir of a run'):
        read_last_metrics(tmp_path)


def test_no_evaluation_yet(tmp_path):
    write_run(tmp_path / 'a')
    with pytest.raises(ValueError, match='hold no evaluation'):
        read_last_metrics(tmp_path / 'a')


def test_damaged_log(tmp_path):
    write_run(tmp_path / 'a')
    next(tmp_path.glob('a/*/vis_data/scalars.json')).write_text('{"a/AP": 0.1')
    with pytest.raises(ValueError, match='line 1: not readable as JSON'):
        read_last_metrics(tmp_path / 'a')
