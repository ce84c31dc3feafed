# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Weights that come with the package."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from smallobj_mm.checkpoints.reading import load_plain, read_header
from smallobj_mm.weights import shipped_weights

NAMES = ['ismallnet_s_nuaa', 'ismallnet_s_nudt', 'obsdm_t_drones', 'obsdm_t_hituav']


@pytest.mark.parametrize('name', NAMES)
def test_they_are_those_of_their_config(repo_root, name):
    """Every tensor fits, none is missing, and the file is small."""
    path = shipped_weights(name)
    assert path.stat().st_size < 8_000_000
    (config,) = (repo_root / 'configs').rglob(f'{name}.py')
    cfg = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    state = load_plain(path)
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    assert all(torch.isfinite(v).all() for v in model.state_dict().values())


@pytest.mark.parametrize('name', ['ismallnet_s_nudt', 'obsdm_t_drones', 'obsdm_t_hituav'])
def test_the_header_says_where_they_come_from(name):
    header = read_header(shipped_weights(name))
    assert header['recipe'] == name
    for key in ('data', 'license', 'commit', 'command', 'epochs', 'metrics'):
        assert header[key], key


def test_none_of_that_name():
    with pytest.raises(FileNotFoundError, match='nothing: no weights come with the package'):
        shipped_weights('nothing')


def test_all_are_tested():
    folder = Path(shipped_weights(NAMES[0])).parent
    assert sorted(path.stem for path in folder.glob('*.safetensors')) == sorted(NAMES)
