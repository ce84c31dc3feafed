# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Settings of the command line reach what is made of the names at the top of a config."""

import pytest
from mmengine.config import Config

from smallobj_mm.utils.configs import read_config


@pytest.fixture
def folder(tmp_path):
    """A config in two folders, with a base that makes something of a name of its own."""
    (tmp_path / 'bases').mkdir()
    (tmp_path / 'bases' / 'data.py').write_text(
        "size = 8  # px, 'é' takes two bytes\n"
        'loader = dict(dataset=dict(size=size, half=size // 2))\n'
        'loaders = [loader, loader]\n'
    )
    (tmp_path / 'bases' / 'config.py').write_text('depth = 1\nmodel = dict(depth=depth)\n')
    (tmp_path / 'config.py').write_text(
        "_base_ = [\n    'bases/data.py',\n    'bases/config.py',\n]\n"
        "classes = (\n    'a',\n    'b',\n)  # as in the labels\n"
        'steps = 3\n'
        'head = dict(num_classes=len(classes), steps=[steps, 2 * steps])\n'
    )
    return tmp_path


def test_without_options(folder):
    path = str(folder / 'config.py')
    assert read_config(path).to_dict() == Config.fromfile(path).to_dict()


def test_names_at_the_top(folder):
    path = str(folder / 'config.py')
    options = {'classes': ['x', 'y', 'z'], 'steps': 5, 'size': 20, 'model.depth': 7, 'new': 1}
    cfg = read_config(path, options)
    assert cfg.head == dict(num_classes=3, steps=[5, 10])
    assert cfg.loader.dataset == dict(size=20, half=10) and cfg.loaders[1].dataset.half == 10
    assert (cfg.classes, cfg.size, cfg.new) == (['x', 'y', 'z'], 20, 1)
    assert (cfg.depth, cfg.model.depth) == (1, 7)
    assert cfg.filename == path


def test_a_setting_of_a_nested_key_wins(folder):
    cfg = read_config(str(folder / 'config.py'), {'depth': 3, 'model.depth': 9})
    assert cfg.depth == 3 and cfg.model.depth == 9


def test_a_dict_is_merged(folder):
    cfg = read_config(str(folder / 'config.py'), {'head': {'more': 1}})
    assert cfg.head == dict(num_classes=2, steps=[3, 6], more=1)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='config none.py: no such file; give the path'):
        read_config('none.py', {})


def test_a_config_that_names_its_own_place(tmp_path):
    """Files beside a config are found with and without settings, in bases too."""
    (tmp_path / 'bases').mkdir()
    (tmp_path / 'bases' / 'base.py').write_text("base = '{{ fileDirname }}/list.txt'\n")
    (tmp_path / 'config.py').write_text(
        "_base_ = './bases/base.py'\nsteps = 1\nown = '{{fileDirname}}/{{ fileBasename }}'\n"
    )
    for options in (None, {'steps': 2}, {'new': 1}):
        cfg = read_config(str(tmp_path / 'config.py'), options)
        assert cfg.base == f'{tmp_path.as_posix()}/bases/list.txt'
        assert cfg.own == f'{tmp_path.as_posix()}/config.py'
