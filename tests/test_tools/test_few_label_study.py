# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The study: its jobs, what is over, and its summary; the training itself is tools/train.py."""

import json
import runpy
from types import SimpleNamespace

import pytest


@pytest.fixture
def study(repo_root):
    tool = repo_root / 'tools' / 'analysis_tools' / 'few_label_study.py'
    return SimpleNamespace(**runpy.run_path(str(tool), run_name='study'))


def finish(folder, iterations, ap50):
    """What a run of tools/train.py leaves."""
    record = {'step': iterations, 'smallobj/AP50': ap50}
    record |= {f'smallobj/{name}': ap50 / 2 for name in ('AP', 'AP_tiny', 'AP_small')}
    log = folder / '20260101_000000' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({'loss': 1.0, 'step': 1}) + '\n' + json.dumps(record) + '\n')


def test_lists_are_nested_parts_of_the_training_flights(repo_root, study):
    splits = repo_root / 'configs' / '_base_' / 'datasets' / 'splits'
    lists = [set((splits / names).read_text().split()) for names, _ in study.LABELS.values()]
    assert [len(names) for names in lists] == list(study.LABELS)
    assert all(small < large for small, large in zip(lists, lists[1:]))
    validation = set((splits / 'hituav_flight_val.txt').read_text().split())
    assert not lists[-1] & validation


def test_jobs(study, tmp_path, repo_root):
    args = study.parse_args(
        [str(tmp_path), '--arms', 'random', 'distilled', '--labels', '50', '100', '--amp']
    )
    jobs = study.make_jobs(args)
    assert [job.name for job in jobs[:3]] == ['distilled', 'random_50_seed0', 'distilled_50_seed0']
    assert len(jobs) == 1 + 2 * 2 * 3 and not any(job.finished() for job in jobs)
    backbone = tmp_path / 'backbones' / 'distilled.safetensors'
    assert f'pretrained={backbone}' in jobs[2].command and 'max_iters=1500' in jobs[2].command
    assert not any('pretrained' in word for word in jobs[1].command)
    assert all('--resume' in job.command and '--amp' in job.command for job in jobs)
    for arm in study.ARMS.values():
        for config in filter(None, (arm.pretrain, arm.finetune)):
            assert (repo_root / 'configs' / config).is_file()


def test_goes_on_with_what_is_left_and_summarizes(study, tmp_path, monkeypatch, capsys):
    options = [str(tmp_path), '--arms', 'random', 'detsim', '--labels', '50', '--seeds', '0', '1']
    for seed, ap50 in enumerate((0.2, 0.4)):
        finish(tmp_path / 'runs' / f'random_50_seed{seed}', 1500, ap50)
    finish(tmp_path / 'runs' / 'detsim_50_seed0', 500, 0.3)  # stopped on the way
    study.main([*options, '--dry-run'])
    states = dict(line.split()[1::-1] for line in capsys.readouterr().out.splitlines())
    assert states == {
        'detsim': 'left',
        'random_50_seed0': 'over',
        'detsim_50_seed0': 'left',
        'random_50_seed1': 'over',
        'detsim_50_seed1': 'left',
    }
    study.main([*options, '--summary'])
    assert '| random_50 | 2 | 0.3000 ± 0.1414 |' in (tmp_path / 'table.md').read_text()
    assert (tmp_path / 'figure.png').stat().st_size > 5000


def test_nothing_to_summarize(study, tmp_path):
    with pytest.raises(ValueError, match='no run is over yet; call without --summary first'):
        study.main([str(tmp_path), '--summary'])
