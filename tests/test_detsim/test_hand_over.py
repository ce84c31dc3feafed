# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From a checkpoint of DetSim to detectors and segmenters: ours, and stock configs of others."""

import json

import pytest
import torch
from mmengine.registry import DefaultScope

from smallobj_mm.checkpoints.backbone import (
    describe_training,
    extract_backbone,
    read_config_literals,
)
from smallobj_mm.models.initializers import ssl_pretrained
from smallobj_mm.registry import MODELS
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import UserError

safetensors = pytest.importorskip('safetensors')


@pytest.fixture(scope='module')
def trained(repo_root, tmp_path_factory):
    """A checkpoint as a work-dir has it, of the published backbone."""
    cfg = read_config(repo_root / 'configs/detsim/detsim_r18_mixed_96.py')
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


@pytest.fixture(scope='module')
def export(load_tool):
    """Function that runs ``export_backbone.py SOURCE TARGET``."""
    tool = load_tool('model_converters/export_backbone')
    return lambda source, target: tool.main([str(source), str(target)])


@pytest.fixture(scope='module')
def exported(trained, tmp_path_factory, export):
    out = tmp_path_factory.mktemp('exported') / 'backbone.safetensors'
    export(trained[0], out)
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
    cfg = read_config(repo_root / 'configs/obsdm/obsdm_r18_hituav.py')
    backbone = build('mmdet', cfg.model, path)
    assert same(backbone, trained[1])
    assert 'loaded 120/120 tensors of SSLResNet18' in said[-1]


@pytest.fixture
def stock(tmp_path, exported, installed_config):
    """A stock config with the lines that the README gives, as a file of the user's."""

    def make(framework, name, lines):
        path = installed_config(framework, name)
        mine = tmp_path / 'mine.py'
        init_cfg = dict(type='SSLPretrained', checkpoint=str(exported))
        mine.write_text(
            f'_base_ = [{str(path)!r}]\n'
            "custom_imports = dict(imports=['smallobj_mm'])\n"
            f'model = dict({lines}backbone=dict(init_cfg={init_cfg}))\n'
        )
        cfg = read_config(mine)
        with DefaultScope.overwrite_default_scope(framework):
            # The frameworks hand ``pretrained`` of the model down as they build it.
            return MODELS.build(cfg.model).backbone

    return make


@pytest.mark.parametrize(
    ('framework', 'name', 'lines'),
    [
        ('mmdet', 'retinanet/retinanet_r18_fpn_1x_coco.py', ''),
        # It names ImageNet weights of its own beside the backbone.
        ('mmseg', 'pspnet/pspnet_r18b-d8_4xb2-80k_cityscapes-512x1024.py', 'pretrained=None, '),
    ],
)
def test_stock_configs(framework, name, lines, stock, trained, said):
    backbone = stock(framework, name, lines)
    backbone.init_weights()
    assert same(backbone, trained[1]) and type(backbone).__module__.startswith(framework)
    assert 'loaded 120/120' in said[-1]


def test_deep_stem(stock):
    """Another ResNet-18, with three convolutions in its stem, is refused in one line."""
    name = 'pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'
    backbone = stock('mmseg', name, 'pretrained=None, ')
    with pytest.raises(ValueError, match='backbone.safetensors: .*; not found: stem.0.w') as error:
        backbone.init_weights()
    assert '\n' not in str(error.value)


def test_pth_for_those_without_this_package(trained, tmp_path, export, capsys):
    out = tmp_path / 'backbone.pth'
    export(trained[0], out)
    assert '120 tensors written' in capsys.readouterr().out
    saved = torch.load(out, weights_only=True)
    assert saved['meta']['epochs'] == '7' and len(saved['state_dict']) == 120


@pytest.mark.parametrize('ending', ['safetensors', 'pth'])
def test_exported_again(ending, exported, trained, tmp_path, export):
    """What is known of the training is not lost on the way."""
    first = exported
    if ending == 'pth':
        first = tmp_path / 'first.pth'
        export(trained[0], first)
    out = tmp_path / 'again.safetensors'
    export(first, out)
    headers = []
    for path in (exported, out):
        with safetensors.safe_open(path, 'pt') as file:
            headers.append(file.metadata())
    assert headers[0] == headers[1] and headers[0]['recipe'] == 'detsim_r18_mixed_96'


def resnet(depth: int, **options) -> dict:
    """The tensors of mmdet's ResNet."""
    pytest.importorskip('mmdet')
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(dict(type='mmdet.ResNet', depth=depth, **options)).state_dict()


@pytest.mark.parametrize(
    ('depth', 'options'),
    [(18, dict(base_channels=8, stem_channels=8)), (34, {}), (50, dict(base_channels=16))]
    + [(depth, dict(base_channels=8, stem_channels=8)) for depth in (101, 152)],
)
def test_any_whole_resnet(depth, options):
    """Whatever its width and prefix, with and without counters of batches."""
    state = resnet(depth, **options)
    assert extract_backbone({f'a.{k}': v for k, v in state.items()}, 'x.pth').keys() == state.keys()
    old = {k: v for k, v in state.items() if not k.endswith('num_batches_tracked')}
    assert extract_backbone(dict(state_dict=old), 'x.pth').keys() == old.keys()


def test_grouped_and_torchvision():
    models = pytest.importorskip('torchvision').models
    for make in (models.resnext50_32x4d, models.wide_resnet50_2, models.resnet18):
        with torch.device('meta'):
            state = make(weights=None).state_dict()
        state = {k: torch.empty(v.shape) for k, v in state.items()}
        assert len(extract_backbone(state, 'x.pth')) == len(state) - 2  # without the classifier


@pytest.mark.parametrize(
    ('depth', 'lost', 'message'),
    [
        (18, 'layer2.', "90 of the 120 tensors of a ResNet-18 fit.*missing is 'b.layer2.0.conv1.w"),
        (18, 'layer4.', "90 of the 120 tensors of a ResNet-18 fit.*missing is 'b.layer4.0.conv1.w"),
        (18, 'layer3.1.bn2.running_var', "119 of the 120 .*missing is 'b.layer3.1.bn2.running_var"),
        (34, 'layer3.5.', "204 of the 216 .* of a ResNet-34 .*missing is 'b.layer3.5.conv1.w"),
        (50, 'layer1.0.conv3', "317 of the 318 .* ResNet-50 fit.*missing is 'b.layer1.0.conv3.w"),
        (50, 'layer2.0.downsample', "312 of the 318 .*missing is 'b.layer2.0.downsample.0.weight'"),
        (18, 'bn1.weight', "no ResNet found, 'b.bn1.weight' is not among"),
    ],
)
def test_part_of_a_backbone(depth, lost, message):
    state = {k: v for k, v in resnet(depth).items() if not k.startswith(lost)}
    with pytest.raises(ValueError, match=f'^x.pth: {message}') as error:
        extract_backbone({f'b.{k}': v for k, v in state.items()}, 'x.pth')
    assert '\n' not in str(error.value)


def test_another_backbone():
    state = resnet(18, base_channels=8, stem_channels=8)
    wrong = {**state, 'layer2.0.conv2.weight': torch.zeros(1, 2, 3)}
    with pytest.raises(
        ValueError, match=r"119 of .*0.conv2.weight' has the shape \(1, 2, 3\) inst"
    ):
        extract_backbone(wrong, 'x.pth')
    more = {**state, 'layer1.9.conv1.weight': torch.zeros(8, 8, 3, 3)}
    with pytest.raises(ValueError, match=r'x.pth: its ResNet has stages of \[10, 2, 2, 2\] blocks'):
        extract_backbone(more, 'x.pth')


def test_what_cannot_be_exported(tmp_path, export, trained):
    torch.save(dict(state_dict={'head.weight': torch.zeros(2)}), tmp_path / 'x.pth')
    for source, target, message in (
        (tmp_path / 'x.pth', tmp_path / 'y.safetensors', 'no ResNet found'),
        (trained[0], tmp_path / 'y.onnx', 'expected a name that ends in'),
    ):
        with pytest.raises(UserError, match=message):
            export(source, target)
        assert not target.exists()


def test_header_runs_no_code(tmp_path):
    marker = tmp_path / 'ran'
    text = f"a = 1\nb = open({str(marker)!r}, 'w')\nc = dict(d=[1, (2, 3)], e={{'f': -1.5}})"
    assert read_config_literals(text) == dict(a=1, c=dict(d=[1, [2, 3]], e=dict(f=-1.5)))
    assert read_config_literals('not python at all :') == {}
    assert not marker.exists()
    assert describe_training({})['names'] == 'torchvision'
    assert json.dumps(describe_training(dict(meta=dict(cfg='model = dict(type=3)', epoch=None))))
