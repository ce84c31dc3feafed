# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From a checkpoint of DetSim to detectors and segmenters: ours, and stock configs of others."""

import importlib.util
import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from smallobj_mm.engine.backbone_export import describe_training, read_config_literals
from smallobj_mm.models.initializers import ssl_pretrained
from smallobj_mm.registry import MODELS

safetensors = pytest.importorskip('safetensors')


@pytest.fixture(scope='module')
def trained(repo_root, tmp_path_factory):
    """A checkpoint as a work-dir has it, of the published backbone."""
    cfg = Config.fromfile(repo_root / 'configs/detsim/detsim_r18_mixed_96.py')
    cfg.model.neck.update(hid_channels=16, out_channels=16)
    cfg.model.head.update(in_channels=16, hid_channels=8)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
    path = tmp_path_factory.mktemp('trained') / 'epoch_7.pth'
    meta = dict(
        epoch=7,
        iter=700,
        cfg=cfg.pretty_text,
        time='today',
        experiment_name='detsim_r18_mixed_96_20250101_120000',
    )
    torch.save(dict(meta=meta, state_dict=model.state_dict(), optimizer=dict(state={})), path)
    return path, model.backbone.state_dict()


def export(repo_root, monkeypatch, source, target):
    """The tool in this process; its exit status."""
    tool = str(repo_root / 'tools/model_converters/export_backbone.py')
    with monkeypatch.context() as patch:
        patch.setattr(sys, 'argv', [tool, str(source), str(target)])
        try:
            runpy.run_path(tool, run_name='__main__')
        except SystemExit as stop:
            return stop.code
    return 0


@pytest.fixture(scope='module')
def exported(trained, tmp_path_factory, repo_root):
    out = tmp_path_factory.mktemp('exported') / 'backbone.safetensors'
    with pytest.MonkeyPatch.context() as patch:
        assert export(repo_root, patch, trained[0], out) == 0
    return out


def test_export(exported, trained):
    with safetensors.safe_open(exported, 'pt') as file:
        header = file.metadata()
        ours = {name: file.get_tensor(name) for name in file.keys()}
    assert header['recipe'] == 'detsim_r18_mixed_96' and header['epochs'] == '7'
    assert 'data_root=data/HIT-UAV' in header['data'] and header['model'] == 'DetSim'
    assert set(ours) == set(trained[1])
    assert all(torch.equal(ours[name], tensor) for name, tensor in trained[1].items())
    torchvision = pytest.importorskip('torchvision')
    missing = torchvision.models.resnet18(weights=None).load_state_dict(ours, strict=False)
    assert missing.missing_keys == ['fc.weight', 'fc.bias'] and not missing.unexpected_keys


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(ssl_pretrained, 'print_log', lambda text, logger: lines.append(text))
    return lines


def build(scope, cfg, checkpoint):
    """The backbone of a config after one line was added to it."""
    cfg.backbone.init_cfg = dict(type='SSLPretrained', checkpoint=str(checkpoint))
    with DefaultScope.overwrite_default_scope(scope):
        backbone = MODELS.build(cfg.backbone)
        backbone.init_weights()
    return backbone


def same(backbone, expected):
    return all(torch.equal(v, expected[k]) for k, v in backbone.state_dict().items())


@pytest.mark.parametrize('kind', ['exported', 'raw', 'authors'])
def test_obsdm(kind, exported, trained, tmp_path, repo_root, said):
    """By one line of config: the exported file, the work-dir's, the authors'."""
    pytest.importorskip('mmdet')
    path = dict(exported=exported, raw=trained[0], authors=tmp_path / 'authors.pth')[kind]
    if kind == 'authors':
        conv2 = {'conv2.weight': torch.zeros(512, 2048, 1, 1), 'conv2.bias': torch.zeros(512)}
        torch.save(
            {'backbone': {**trained[1], **conv2}, 'projector': {'0.weight': torch.zeros(4, 4)}},
            path,
        )
    cfg = Config.fromfile(repo_root / 'configs/obsdm/obsdm_r18_hituav.py')
    backbone = build('mmdet', cfg.model, path)
    assert same(backbone, trained[1])
    assert 'loaded 120/120 tensors of SSLResNet18' in said[-1]


@pytest.mark.parametrize(
    ('framework', 'name'),
    [
        ('mmdet', 'retinanet/retinanet_r18_fpn_1x_coco.py'),
        ('mmseg', 'pspnet/pspnet_r18b-d8_4xb2-80k_cityscapes-512x1024.py'),
    ],
)
def test_stock_configs(framework, name, exported, trained, said):
    spec = importlib.util.find_spec(framework)
    if spec is None:
        pytest.skip(f'{framework} is not installed')
    path = Path(spec.origin).parent / '.mim' / 'configs' / name
    if not path.is_file():
        pytest.skip(f'the installed {framework} has no config {name}')
    importlib.import_module(f'{framework}.models')
    cfg = Config.fromfile(path)
    # The stock ones name ImageNet weights of their own, in one place or the other.
    for key in ('pretrained',):
        cfg.model.pop(key, None), cfg.model.backbone.pop(key, None)
    backbone = build(framework, cfg.model, exported)
    assert same(backbone, trained[1]) and type(backbone).__module__.startswith(framework)
    assert 'loaded 120/120' in said[-1]


def test_pth_for_those_without_this_package(trained, tmp_path, repo_root, monkeypatch, capsys):
    out = tmp_path / 'backbone.pth'
    assert export(repo_root, monkeypatch, trained[0], out) == 0
    assert '120 tensors written' in capsys.readouterr().out
    saved = torch.load(out, weights_only=True)
    assert saved['meta']['epochs'] == '7' and len(saved['state_dict']) == 120


def test_what_cannot_be_exported(tmp_path, repo_root, monkeypatch, capsys, trained):
    torch.save(dict(state_dict={'head.weight': torch.zeros(2)}), tmp_path / 'x.pth')
    for source, target, message in (
        (tmp_path / 'x.pth', tmp_path / 'y.safetensors', 'no ResNet found'),
        (trained[0], tmp_path / 'y.onnx', 'expected a name that ends in'),
    ):
        assert export(repo_root, monkeypatch, source, target) == 2
        assert message in capsys.readouterr().err
        assert not target.exists()


def test_header_runs_no_code(tmp_path):
    marker = tmp_path / 'ran'
    text = f"a = 1\nb = open({str(marker)!r}, 'w')\nc = dict(d=[1, (2, 3)], e={{'f': -1.5}})"
    assert read_config_literals(text) == dict(a=1, c=dict(d=[1, [2, 3]], e=dict(f=-1.5)))
    assert read_config_literals('not python at all :') == {}
    assert not marker.exists()
    assert describe_training({})['names'] == 'torchvision'
    assert json.dumps(describe_training(dict(meta=dict(cfg='model = dict(type=3)', epoch=None))))
