# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Stages of a toy segmentor, and what is written about them."""

import importlib
import json
import time
from pathlib import Path

import cv2
import pytest
from mmengine.config import Config

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

from smallobj_mm.benchmark import report
from smallobj_mm.benchmark.report import SpeedOptions, SpeedRow, measure_config, write_report
from smallobj_mm.benchmark.stages import time_stages

TOYS = Path(__file__).resolve().parents[1] / 'test_inference'


@pytest.fixture(scope='module')
def toys():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOYS)
        yield importlib.import_module('infer_toys')  # a fresh process finds it as well


def row(config='net'):
    values = dict(
        config=config, backend='pytorch', images='made', input_shape=(96, 128), parameters=2500000,
        flops=12_300_000_000, loading=1.0, preprocessing=2.0, model=30.0, postprocessing=7.0,
        peak_memory=100 * 2**20, matmul=8e10,
    )  # fmt: skip
    return SpeedRow(**values)


def test_stages_are_told_apart(toys, tmp_path, monkeypatch):
    """Each stage is made slow, by a time of its own."""
    cfg = Config(toys.segmentation_config())
    file = tmp_path / 'weights.pth'
    report._write_state(cfg, None, file)
    subject = report.build_subject(cfg, 'seg', 'deployed', file, SpeedOptions())
    image = str(tmp_path / 'image.png')
    cv2.imwrite(image, toys.scene(60, 70, []))
    head, delays = subject.model.decode_head, (0.05, 0.1, 0.15, 0.2)
    parts = [(subject.preparer, 'read'), (subject.model.data_preprocessor, 'forward'),
             (head, 'forward'), (head, 'predict_by_feat')]  # fmt: skip
    for (owner, name), delay in zip(parts, delays):
        monkeypatch.setattr(owner, name, slow(getattr(owner, name), delay))
    slowed = head.forward
    for _ in range(2):
        stages = time_stages(subject, image)
    # What another stage took would be missing here; neighbors on the machine only add.
    assert all(seconds >= delay for seconds, delay in zip(stages, delays)), stages
    assert head.forward is slowed


def slow(call, delay):
    def wrapped(*args, **kwargs):
        time.sleep(delay)
        return call(*args, **kwargs)

    return wrapped


def test_a_config_with_its_backends(toys, tmp_path, monkeypatch):
    rows = measure_config(
        Config(toys.segmentation_config()),
        options=SpeedOptions(shape=(50, 70), rounds=1, memory=False),
    )
    assert [one.backend for one in rows] == ['pytorch', 'deployed']
    for one in rows:
        assert one.images == 'made' and one.input_shape == (64, 80) and one.parameters == 6
        assert one.flops == 2 * 64 * 80 * (3 + 1)
        assert min(one.loading, one.preprocessing, one.model, one.postprocessing, one.matmul) > 0
    monkeypatch.setattr(report, 'ProcessPoolExecutor', InThisProcess)
    (one,) = measure_config(
        Config(toys.segmentation_config()),
        options=SpeedOptions(['pytorch'], shape=(50, 70), rounds=1),
    )
    assert one.peak_memory >= 0
    with pytest.raises(ValueError, match='found tensorrt, expected of pytorch, deployed'):
        SpeedOptions(['tensorrt'])


def test_noise_only_where_there_are_no_data(toys, tmp_path):
    """A broken data set is an error, not a reason to measure something else."""
    cfg = Config(toys.segmentation_config())
    assert report._images(cfg, (32, 32), tmp_path)[1] == 'made'
    cfg.test_dataloader.dataset.nonsense = 1
    with pytest.raises(TypeError, match='nonsense'):
        report._images(cfg, (32, 32), tmp_path)
    cfg.pop('test_dataloader')
    assert report._images(cfg, (32, 32), tmp_path)[1] == 'made'


class InThisProcess:
    """Stands for a pool of fresh processes."""

    def __init__(self, *args):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def submit(self, call, *args):
        self.value = call(*args)
        return self

    def result(self):
        return self.value


def test_report(tmp_path):
    rows = [row(), row()]
    rows[1].backend, rows[1].peak_memory = 'deployed', 0
    write_report(rows, tmp_path / 'out', SpeedOptions())
    content = json.loads((tmp_path / 'out' / 'speed.json').read_text())
    assert content['rows'][0]['total'] == 40 and content['machine']['threads'] == 2
    lines = (tmp_path / 'out' / 'speed.md').read_text().splitlines()
    cells = 'net pytorch 128x96 2.50_M 12.3 1.0 2.0 30.0 7.0 40.0 25 100_MiB'.split()
    assert [cell.strip() for cell in lines[2].strip('|').split('|')] == [
        cell.replace('_', ' ') for cell in cells
    ]
    assert lines[3].endswith('| 25 | - |') and 'GFLOP/s: net 80' in lines[5]
    assert cv2.imread(str(tmp_path / 'out' / 'speed.png')).shape[1] > 800


def test_tool_reports_several_configs(load_tool, tmp_path, monkeypatch, capsys):
    tool = load_tool('analysis_tools/benchmark')
    asked = []

    def measured(config, weights, options, progress):
        asked.append((config, weights, options))
        return [row(config=config)]

    monkeypatch.setattr(tool, 'measure_config', measured)
    command = ['a', 'b', '--report', str(tmp_path), '--backend', 'openvino']
    tool.main([*command, '--shape', '96', '--no-memory'])
    assert f'speed.json, speed.md and speed.png are in {tmp_path}' in capsys.readouterr().out
    assert [one[:2] for one in asked] == [('a', None), ('b', None)]
    options = asked[0][2]
    assert options.shape == (96, 96) and options.backends == ['openvino'] and not options.memory
    assert len(json.loads((tmp_path / 'speed.json').read_text())['rows']) == 2
    for arguments, words in (
        (['a', 'b'], '2 configs, expected one'),
        (['a', 'b', '--report', 'x', '--checkpoint', 'c'], '1 files for 2 configs'),
        (['a', '--report', 'x', '--train'], '--report goes without'),
        (['a', '--backend', 'openvino'], '--backend and --no-memory need --report'),
        (['a', '--no-memory'], '--backend and --no-memory need --report'),
    ):
        with pytest.raises(SystemExit):
            tool.main(arguments)
        assert words in capsys.readouterr().err
