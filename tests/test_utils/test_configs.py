# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Settings of the command line reach what is made of the names at the top of a config."""

import copy
from pathlib import Path

import pytest
from mmengine.config import Config

from smallobj_mm.models.building import read_model_config
from smallobj_mm.utils.configs import _evaluate, read_config
from smallobj_mm.utils.errors import UserError

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


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
    options = {'classes': ['x', 'y', 'z'], 'steps': 5, 'size': 20, 'model.depth': 7, '+new': 1}
    cfg = read_config(path, options)
    assert cfg.head == dict(num_classes=3, steps=[5, 10])
    assert cfg.loader.dataset == dict(size=20, half=10) and cfg.loaders[1].dataset.half == 10
    assert (cfg.classes, cfg.size, cfg.new) == (('x', 'y', 'z'), 20, 1)
    assert (cfg.depth, cfg.model.depth) == (1, 7)
    assert cfg.filename == path


def test_a_setting_of_a_nested_key_wins(folder):
    cfg = read_config(str(folder / 'config.py'), {'depth': 3, 'model.depth': 9})
    assert cfg.depth == 3 and cfg.model.depth == 9


def test_a_dict_is_merged(folder):
    cfg = read_config(str(folder / 'config.py'), {'head': {'more': 1}})
    assert cfg.head == dict(num_classes=2, steps=[3, 6], more=1)


@pytest.mark.parametrize('options', [None, {'lr': 1e-3}])
def test_the_text_is_the_config_and_waits_for_no_formatter(monkeypatch, options):
    def refuse(*args, **kwargs):
        raise AssertionError('yapf takes seconds for this config')

    monkeypatch.setattr('yapf.yapflib.yapf_api.FormatCode', refuse)
    cfg = read_config('ismallnet_t_ir', options)
    assert Config.fromstring(cfg.pretty_text, '.py').to_dict() == cfg.to_dict()
    copied = copy.deepcopy(cfg)  # as a runner has it
    assert copied.pretty_text == cfg.pretty_text


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
    for options in (None, {'steps': 2}, {'+new': 1}):
        cfg = read_config(str(tmp_path / 'config.py'), options)
        assert cfg.base == f'{tmp_path.as_posix()}/bases/list.txt'
        assert cfg.own == f'{tmp_path.as_posix()}/config.py'


@pytest.mark.parametrize('path', sorted((CONFIGS).glob('*/*.py')), ids=lambda path: path.stem)
def test_evaluated_as_by_mmengine(path):
    """With no new values, what the names of a config become is what mmengine makes of them."""
    ours = Config(_evaluate(path, {})).to_dict()
    assert ours == Config.fromfile(path, import_custom_modules=False).to_dict()


def test_the_names_of_mmengine(folder, monkeypatch):
    """Double braces: the config's own place, and values of its bases."""
    text = "size = 3\nplace = '{{ fileBasenameNoExtension }}'\nhalf = {{_base_.loader.dataset}}\n"
    (folder / 'leaf.py').write_text("_base_ = 'bases/data.py'\n" + text)
    cfg = read_config(folder / 'leaf.py', {'size': 10})
    assert cfg.place == 'leaf' and cfg.half == dict(size=10, half=5)


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        (b'a = (1,\n', r"leaf.py, line 1: '\(' was never closed; expected a config"),
        (b'a = "\xff"\n', 'leaf.py, byte 5: not UTF-8; expected'),
        (b'a = 1\0\n', 'leaf.py.*null bytes'),
        (b'a = ' + b'[' * 5000 + b']' * 5000, 'leaf.py.*nested'),
        (b"_base_ = 'leaf.py'", r'leaf.py: is among its own bases \(leaf.py -> leaf.py\)'),
        (b"_base_ = ['circle.py']", r'circle.py -> leaf.py -> circle.py|leaf.py -> circle.py'),
        (b"_base_ = 'absent.py'", 'absent.py: no such file, .*leaf.py names it in _base_'),
        (b'_base_ = absent', "leaf.py.*NameError: name 'absent'"),
        (b'a = 1\nb = absent\n', "leaf.py, line 2: cannot be evaluated .NameError: name 'absent'"),
        (b"_base_ = ['bases/data.py', 'twice.py']", 'Duplicate key is not allowed among bases'),
        (
            b"custom_imports = dict(imports=['no_such_module'])",
            'leaf.py.*ImportError.*no_such_module',
        ),
    ],
)
def test_broken_configs_are_one_line(folder, text, said):
    (folder / 'leaf.py').write_bytes(text)
    (folder / 'circle.py').write_text("_base_ = 'leaf.py'\n")
    (folder / 'twice.py').write_text("_base_ = 'bases/data.py'\n")
    with pytest.raises((UserError, FileNotFoundError), match=said) as caught:
        read_config(folder / 'leaf.py')
    assert '\n' not in str(caught.value)
    with pytest.raises((UserError, FileNotFoundError), match=said):
        read_model_config(folder / 'leaf.py')


@pytest.mark.parametrize(
    ('key', 'said'),
    [
        ('stepz', 'has no stepz, did you mean steps'),
        ('optim_wraper.optimizer.lr', 'has no optim_wraper, did you mean optim_wrapper'),
        ('optim_wrapper.optimiser.lr', r'did you mean optim_wrapper\.optimizer\?'),
        ('max_epoch', r'has no max_epoch, did you mean train_cfg\.max_epochs\?'),
        ('max_epochs', r'has no max_epochs, did you mean train_cfg\.max_epochs\?'),
        (
            'head.num_class',
            r'did you mean head\.num_classes\? To add it .* write \+head\.num_class',
        ),
        ('loaders.2.dataset.size', "loaders is a list, found '2', expected a position from 0 to 1"),
        ('loaders.first', "loaders is a list, found 'first'"),
        ('steps.first', 'steps is int in the config, expected a dict'),
        ('nonsense', 'has no nonsense and nothing reads one'),
    ],
)
def test_misspelt_settings(folder, key, said):
    more = 'optim_wrapper = dict(optimizer=dict(lr=1))\ntrain_cfg = dict(max_epochs=1)\n'
    with (folder / 'config.py').open('a') as file:
        file.write(more)
    with pytest.raises(UserError, match=f'--cfg-options {key}: .*{said}'):
        read_config(folder / 'config.py', {key: 1})


def test_settings_that_may_be_added(folder):
    """Arguments of components; what is like another, on purpose; a new dict."""
    options = {
        'head.weight': 1,
        '+head.num_class': 2,
        'loaders.0.dataset.more': 3,
        'load_from': 'a.pth',
        'model._delete_': True,
        'model.dept': 4,
        '+mine.depth': 5,
    }
    cfg = read_config(folder / 'config.py', options)
    assert (cfg.head.weight, cfg.head.num_class, cfg.loaders[0].dataset.more) == (1, 2, 3)
    assert (cfg.load_from, cfg.model, cfg.mine) == ('a.pth', dict(dept=4), dict(depth=5))
