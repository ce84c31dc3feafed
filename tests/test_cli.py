# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The console command, and the same out of a built wheel."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from smallobj_mm import cli
from smallobj_mm.checkpoints.zoo import list_zoo, read_metrics
from smallobj_mm.utils.configs import read_config
from smallobj_mm.weights import shipped_weights


def test_help_names_every_command(capsys):
    for arguments in ([], ['--help']):
        cli.main(arguments)
        text = capsys.readouterr().out
        assert all(f'\n  {name} ' in text for name in [*cli.COMMANDS, 'models', 'download'])
    cli.main(['--version'])
    assert capsys.readouterr().out.startswith('smallobj-mm ')


def test_an_unknown_command_is_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(['infr'])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and len(error.splitlines()) == 1
    assert 'infr: no such command; expected one of infer,' in error


def test_a_tool_that_is_not_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, 'TOOL_FOLDERS', (tmp_path,))
    with pytest.raises(SystemExit):
        cli.main(['infer'])
    assert 'tools/infer.py is not there' in capsys.readouterr().err


def test_tools_run_as_the_main_program(tmp_path, monkeypatch, capsys):
    """With their own __main__ block, their arguments and the name of the command."""
    (tmp_path / 'infer.py').write_text(
        'import argparse, sys\n'
        'if __name__ == "__main__":\n'
        '    parser = argparse.ArgumentParser()\n'
        '    parser.add_argument("x")\n'
        '    assert sys.modules["__main__"].__file__ == __file__\n'
        '    print(parser.format_usage(), parser.parse_args())\n'
    )
    monkeypatch.setattr(cli, 'TOOL_FOLDERS', (tmp_path,))
    monkeypatch.setitem(sys.modules, '__main__', sys.modules['__main__'])
    monkeypatch.setattr(sys, 'argv', [])
    cli.main(['infer', 'value'])
    assert "usage: smallobj-mm infer [-h] x\n Namespace(x='value')" in capsys.readouterr().out


def test_models_lists_all_configs_of_the_metafiles(repo_root, capsys):
    cli.main(['models'])
    text = capsys.readouterr().out
    models = {model.name: model for model in list_zoo()}
    configs = {p.stem for p in (repo_root / 'configs').glob('*/*.py') if p.parts[-2] != '_base_'}
    assert 20 < len(models) and set(models) <= configs
    assert all(f'\n{name} ' in text for name in models)
    assert {model.task for model in models.values()} == {
        'detection', 'segmentation', 'pretraining'
    }  # fmt: skip
    assert models['obsdm_r18_hituav'].task == 'detection'
    assert models['ismallnet_s_nuaa'].task == 'segmentation'
    assert models['detsim_r18_folder'].task == 'pretraining'
    shipped = models['ismallnet_s_nuaa']
    assert shipped.weights is not None and 0 < shipped.megabytes < 10
    cli.main(['models', '--shipped', '--json'])
    listed = json.loads(capsys.readouterr().out)
    assert {one['name'] for one in listed} == {n for n, m in models.items() if m.weights}
    assert all(Path(one['config']).is_file() for one in listed)


def test_download_gives_weights_and_config(tmp_path, capsys):
    """Both stand alone: the config has no bases, the weights are those of the package."""
    cli.main(['download', '--config', 'ismallnet_s_nuaa', '--dest', str(tmp_path / 'a')])
    weights, config = map(Path, capsys.readouterr().out.split())
    assert weights == tmp_path / 'a/ismallnet_s_nuaa.safetensors'
    assert weights.read_bytes() == shipped_weights('ismallnet_s_nuaa').read_bytes()
    cfg = Config.fromfile(config)
    assert '_base_' not in config.read_text() and cfg.model == read_config('ismallnet_s_nuaa').model
    with pytest.raises(SystemExit):
        cli.main(['download', '--config', 'obsdm_r18_voc', '--dest', str(tmp_path)])
    assert 'obsdm_r18_voc: no weights come with the package for it' in capsys.readouterr().err


def test_metafiles_name_the_weights(repo_root):
    """What ``mim download`` and ``mim search`` read."""
    named = {
        entry['Name']: entry['Weights']
        for file in (repo_root / 'configs').glob('*/metafile.yml')
        for entry in yaml.safe_load(file.read_text())['Models']
        if 'Weights' in entry
    }
    shipped = {model.name: model.weights for model in list_zoo() if model.weights}
    assert set(named) == set(shipped)
    assert all((repo_root / path).name == shipped[name].name for name, path in named.items())
    unmeasured = [model.name for model in list_zoo() if model.weights and not model.metrics]
    assert not unmeasured, 'no Results in the metafile'


def test_metrics_of_a_header():
    assert read_metrics({'metrics': '{"IoU": 74.1}'}) == {'IoU': 74.1}
    for header in ({}, {'metrics': 'x'}, {'metrics': '[1]'}, {'metrics': '{"a": "b"}'}):
        assert read_metrics(header) == {}


@pytest.fixture(scope='module')
def installed(repo_root, tmp_path_factory):
    """Folder with the unpacked wheel of a copy of this repository, away from it."""
    source = tmp_path_factory.mktemp('source') / 'copy'
    names = ('smallobj_mm', 'configs', 'tools', 'demo', 'requirements')
    for name in names:
        ignore = shutil.ignore_patterns('__pycache__', '.mim', 'work_dirs')
        shutil.copytree(repo_root / name, source / name, ignore=ignore)
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'model-index.yml'):
        shutil.copy2(repo_root / name, source / name)
    done = subprocess.run(
        [sys.executable, 'setup.py', '-q', 'bdist_wheel', '-d', 'dist'],
        cwd=source, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = (source / 'dist').glob('*.whl')
    target = tmp_path_factory.mktemp('site')
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def test_the_command_of_the_wheel(installed, tmp_path):
    """No clone: the entry point, the tools, the page's files and the zoo are in the wheel."""
    (entry,) = installed.glob('*.dist-info/entry_points.txt')
    assert 'smallobj-mm=smallobj_mm.cli:main' in entry.read_text().replace(' ', '')
    tools = installed / 'smallobj_mm/.mim/tools'
    for name, (tool, _) in cli.COMMANDS.items():
        if (Path(__file__).parent.parent / 'tools' / tool).is_file():
            assert (tools / tool).is_file(), name
    assert (installed / 'smallobj_mm/app/style.css').is_file()
    assert (installed / 'smallobj_mm/.mim/demo/drones/clip.mp4').is_file(), 'an example of the page'
    script = (
        'import sys, smallobj_mm.cli as cli\n'
        f'assert cli.__file__.startswith({str(installed)!r}), cli.__file__\n'
        'cli.main(["models", "--shipped"])\n'
        'cli.main(["infer", "--help"])\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', script], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, 'PYTHONPATH': str(installed)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert 'ismallnet_s_nuaa' in done.stdout and 'usage: smallobj-mm infer' in done.stdout
