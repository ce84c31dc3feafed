# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from smallobj_mm.models import building
from smallobj_mm.utils import configs


def named(number, meta=None, **dataset):
    cfg = Config(dict(default_scope='mmdet', test_dataloader=dict(dataset=dataset)))
    model = SimpleNamespace(bbox_head=SimpleNamespace(num_classes=number))
    return building.class_names(cfg, model, meta or {})


def test_names_of_classes():
    """The checkpoint knows best, then the config, then its data set; never a wrong number."""
    config = dict(type='HITUAVDataset', metainfo=dict(classes=('a', 'b', 'c', 'd')))
    assert named(4, dict(classes=('w', 'x', 'y', 'z')), **config) == ('w', 'x', 'y', 'z')
    assert named(4, dict(classes=('w',)), **config) == ('a', 'b', 'c', 'd')
    assert named(4, type='HITUAVDataset')[:2] == ('person', 'car')
    assert named(4, type='RepeatDataset', dataset=config) == ('a', 'b', 'c', 'd')
    assert named(2, type='HITUAVDataset') == ('class 0', 'class 1')


def test_a_name_of_two_configs(tmp_path, monkeypatch):
    for folder in ('one', 'two', '_base_'):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'same.py').write_text('')
    (tmp_path / 'one' / 'other.py').write_text('')
    monkeypatch.setattr(configs, 'CONFIG_FOLDERS', (tmp_path / 'missing', tmp_path))
    assert configs.find_config('other') == tmp_path / 'one' / 'other.py'
    with pytest.raises(ValueError, match='config same: 2 configs have this name'):
        configs.find_config('same')
    monkeypatch.setattr(configs, 'CONFIG_FOLDERS', ())
    with pytest.raises(FileNotFoundError, match='without its configs'):
        configs.find_config('same')
