# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""tools/deployment/export.py"""

import pytest

from smallobj_mm.benchmark.latency import latency_table, measure


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('deployment/export')


def test_export(systems, tool, tmp_path, capsys):
    """One format, an option of the config; the file and the table."""
    system, config = systems['seg'], tmp_path / 'toy.py'
    system.cfg.dump(str(config))
    arguments = [str(config), str(system.weights), '--format', 'torchscript', '--shape', '48']
    arguments += ['--rounds', '2', '--with-postprocess', '--threads', '1', '--out']
    options = ['--cfg-options', 'model.decode_head.threshold=0.3']
    tool.main([*arguments, str(tmp_path / 'out' / 'model.torchscript'), *options])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f'{tmp_path}/out/model.torchscript: equal to PyTorch, largest')
    assert [line.split()[0] for line in printed[2:]] == ['backend', 'pytorch', 'torchscript']
    from smallobj_mm.deployment import load_backend

    info = load_backend(tmp_path / 'out' / 'model.torchscript').info
    assert info.config == 'toy' and info.settings == {'threshold': 0.3}


def test_latency(monkeypatch):
    """Medians, and the ratio to the first within each turn, on a clock that the calls move."""
    now = [0.0]
    monkeypatch.setattr('smallobj_mm.benchmark.timing.time.perf_counter', lambda: now[0])
    took = iter([9.0, 9.0, 0.002, 0.006, 0.004, 0.008, 0.002, 0.007])  # the first turn is a warm-up

    def call():
        now[0] += next(took)

    rows = measure({'a': call, 'b': call}, rounds=3, warmup=1)
    assert rows['a'].ratio == 1 and rows['b'].ratio == pytest.approx(3)
    assert rows['a'].milliseconds == pytest.approx(2) and rows['b'].milliseconds == pytest.approx(7)
    assert rows['b'].best == pytest.approx(6)
    assert len(latency_table(rows).splitlines()) == 3


@pytest.mark.parametrize('option', [['--shape', '0'], ['--threads', '0'], ['--format', 'caffe']])
def test_options(tool, option, capsys):
    with pytest.raises(SystemExit) as left:
        tool.main(['config', *option])
    assert left.value.code == 2 and capsys.readouterr().err
