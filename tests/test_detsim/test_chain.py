# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Both stages in one command, and what another call makes of an interrupted one."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from smallobj_mm.checkpoints.reading import load_plain
from smallobj_mm.engine import pretraining_chain
from smallobj_mm.models.initializers import ssl_pretrained
from smallobj_mm.registry import DATASETS, MODELS
from smallobj_mm.utils.configs import read_config

pytest.importorskip('mmdet')

FINETUNE = """
_base_ = [{base!r}]
data = dict(
    type='SyntheticSmallObjectDataset', data_root={data!r}, num_images=4, val_fraction=0.5,
    image_size=64, object_size=(6, 16), max_objects=2, seed=0,
    ann_file='ImageSets/Main/train.txt',
    pipeline=[dict(type='LoadImageStrict'), dict(type='LoadAnnotations', with_bbox=True),
              dict(type='PackDetInputs')])
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(_delete_=True, **data))
train_cfg = dict(max_epochs=1, val_interval=10)
default_hooks = dict(checkpoint=dict(save_best=None))
val_dataloader = None
val_cfg = None
val_evaluator = None
visualizer = dict(name={name!r})
model = dict(neck=dict(widen_factor=0.125),
             bbox_head=dict(head_module=dict(in_channels=[16, 32, 64])))
"""


@pytest.fixture
def chain(tiny, tmp_path, repo_root, images, monkeypatch):
    """The command. Its tools run in this process: importing the stack for each takes longer."""
    cfg = tiny(epochs=1, batch_size=12)
    widths = [64, 128, 256, 512]  # of the backbone: the detector demands them
    cfg.model.backbone.update(stem_channels=widths[0], base_channels=widths[0])
    cfg.model.neck.in_channels = cfg.model.auxiliary_head.in_channels = widths
    cfg.work_dir = None
    cfg.dump(tmp_path / 'pretrain.py')
    base = str(repo_root / 'configs/obsdm/obsdm_r18_demo.py')
    text = FINETUNE.format(base=base, data=str(tmp_path / 'data'), name=str(tmp_path / 'det'))
    (tmp_path / 'finetune.py').write_text(text)
    tool = str(repo_root / 'tools/pretrain_and_finetune.py')
    called = []
    original = subprocess.run

    def in_process(command, *args, env=None, **options):
        if args or options:  # mmengine asks for the compiler's version
            return original(command, *args, env=env, **options)
        assert env['PYTHONPATH'].startswith(str(repo_root))
        called.append(Path(command[1]).name)
        return SimpleNamespace(returncode=call(command[1:]))

    def call(arguments):
        with monkeypatch.context() as patch:
            patch.setattr(sys, 'argv', list(arguments))
            patch.setenv('LOCAL_RANK', '0')
            try:
                runpy.run_path(arguments[0], run_name='__main__')
            except SystemExit as stop:
                return stop.code
        return 0

    # A comma would make a list of a path among the settings of a command line.
    folder = tmp_path / 'my, images'
    folder.symlink_to(images)

    def run(*options, folder=folder):
        monkeypatch.setattr(subprocess, 'run', in_process)
        called.clear()
        status = call(
            [
                tool,
                str(folder),
                str(tmp_path / 'finetune.py'),
                '--work-dir',
                str(tmp_path / 'both, again'),
                '--pretrain-config',
                str(tmp_path / 'pretrain.py'),
                *options,
            ]
        )
        return status, list(called)

    return run


def test_both_stages_and_again(chain, tmp_path, monkeypatch, capsys):
    said = []
    monkeypatch.setattr(ssl_pretrained, 'print_log', lambda text, logger: said.append(text))
    assert chain() == (0, ['train.py', 'export_backbone.py', 'train.py'])
    both = tmp_path / 'both, again'
    assert len(said) == 1 and 'loaded 120/120 tensors of SSLResNet18' in said[0]
    pretrained = load_plain(both / 'pretrain/epoch_1.pth')['state_dict']
    backbone = load_plain(both / 'backbone.safetensors')
    assert torch.equal(backbone['conv1.weight'], pretrained['backbone.conv1.weight'])
    printed = capsys.readouterr().out
    assert '"recipe": "pretrain"' in printed  # the name of the given config
    assert re.search('== pretrain: 2 steps of .* s, .*\n== finetune: 1 steps of', printed)
    assert cv2.imread(str(both / 'comparison.png')).shape[1] > 500
    finished = load_plain(both / 'finetune/epoch_1.pth')['state_dict']
    assert any(name.startswith('bbox_head') for name in finished)
    # What stopped after the first stage, or was asked for more epochs, goes on.
    # How often the pretraining was to be logged does not matter to what it has made.
    watched = ('--pretrain-options', 'default_hooks.logger.interval=7')
    again = chain('--cfg-options', 'train_cfg.max_epochs=2', *watched)
    assert again == (0, ['train.py'])
    assert 'pretraining is over' in capsys.readouterr().out
    assert load_plain(both / 'finetune/epoch_2.pth')['meta']['iter'] == 2
    # What it was made from does.
    shutil.copytree(tmp_path / 'my, images', tmp_path / 'others')
    last = str(tmp_path / 'others')
    more = ('--pretrain-options', 'train_cfg.max_epochs=3')
    for options, message in (
        (dict(folder=last), f'train_dataloader.dataset.data_root was .*my, images.*{last}'),
        (more, 'train_cfg.max_epochs was 1, is now 3; give another --work-dir, or delete them'),
    ):
        status = chain(**options) if isinstance(options, dict) else chain(*options)
        assert status == (2, [])
        error = capsys.readouterr().err
        assert error.count('\n') == 1 and re.search(message, error)
        assert str(both / 'backbone.safetensors') in error and str(both / 'finetune') in error
    (both / 'backbone.json').unlink()
    assert chain() == (2, [])
    assert 'no backbone.json tells what they were made from' in capsys.readouterr().err


@pytest.fixture
def derived(tmp_path, monkeypatch):
    """Makes the config of the second stage, written and read again; the data may be missing."""
    monkeypatch.setattr(pretraining_chain, 'build_data', lambda *args: None)

    def make(config, checkpoint, **options):
        cfg = pretraining_chain.read_finetune_config(str(config), checkpoint, options)
        (tmp_path / 'derived.py').write_text(cfg.pretty_text)
        cfg = Config.fromfile(tmp_path / 'derived.py')
        assert cfg.experiment_name == Path(config).stem
        assert 'smallobj_mm' in cfg.custom_imports.imports
        return cfg

    return make


def test_every_shipped_detector(derived, repo_root, tmp_path):
    checkpoint = tmp_path / 'a, b.safetensors'
    seen = 0
    for path in sorted((repo_root / 'configs/obsdm').glob('*.py')):
        if Config.fromfile(path).model.backbone.type == 'SSLResNet18':
            backbone = derived(path, checkpoint).model.backbone
            assert backbone.init_cfg == dict(type='SSLPretrained', checkpoint=str(checkpoint))
            seen += 1
    assert seen > 10


def test_settings_at_the_top_of_a_config(derived, repo_root, tmp_path):
    path = repo_root / 'configs/obsdm/obsdm_r18_demo.py'
    cfg = derived(path, tmp_path / 'b.pth', max_epochs=7, **{'train_dataloader.batch_size': 2})
    assert cfg.train_cfg.max_epochs == 7 and cfg.train_dataloader.batch_size == 2


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """A backbone with numbers of its own."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        state = MODELS.build(dict(type='mmdet.ResNet', depth=18)).state_dict()
    path = tmp_path_factory.mktemp('weights') / 'backbone.pth'
    torch.save({k: torch.full_like(v, 3) for k, v in state.items()}, path)
    return path


@pytest.mark.parametrize(
    'init_cfg',
    [
        'None',
        "[dict(type='Kaiming', layer='Conv2d'), dict(type='Constant', layer='BatchNorm2d', val=1)]",
        "dict(type='Pretrained', checkpoint='torchvision://resnet18', prefix='a.')",
        "dict(type='SSLPretrained', checkpoint='other.pth', strict=False, prefix='a.')",
        "dict(type='SSLPretrained', checkpoint=None)",
    ],
)
def test_whatever_the_config_has(init_cfg, derived, weights, repo_root, tmp_path):
    base = str(repo_root / 'configs/obsdm/obsdm_r18_demo.py')
    text = f'_base_ = [{base!r}]\nmodel = dict(backbone=dict(init_cfg={init_cfg}))\n'
    (tmp_path / 'mine.py').write_text(text)
    cfg = derived(tmp_path / 'mine.py', weights)
    with DefaultScope.overwrite_default_scope('mmdet'):
        backbone = MODELS.build(cfg.model.backbone)
    backbone.init_weights()
    assert all((tensor == 3).all() for tensor in backbone.state_dict().values())


@pytest.mark.parametrize(
    ('framework', 'name'),
    [
        ('mmdet', 'retinanet/retinanet_r18_fpn_1x_coco.py'),
        ('mmseg', 'pspnet/pspnet_r18b-d8_4xb2-80k_cityscapes-512x1024.py'),
    ],
)
def test_stock_configs(framework, name, derived, weights, installed_config):
    path = installed_config(framework, name)
    cfg = derived(path, weights)
    with DefaultScope.overwrite_default_scope(framework):
        backbone = MODELS.build(cfg.model).backbone
    backbone.init_weights()
    assert all((tensor == 3).all() for tensor in backbone.state_dict().values())


@pytest.mark.parametrize('arm', [arm for arm, names in pretraining_chain.ARMS.items() if names])
@pytest.mark.parametrize(
    ('config', 'width'),
    [('obsdm_t_demo', 32), ('obsdm_s_hituav', 64), ('obsdm_r18_railworker', 64)],
)
def test_ways_of_pretraining(arm, config, width, images):
    """By name; each has a config for the backbone of either width, and takes the user's folder."""
    finetune = read_config(config)
    name = pretraining_chain.choose_pretrain_config(arm, finetune)
    cfg = pretraining_chain.read_pretrain_config(name, str(images), {})
    assert pretraining_chain.backbone_tensors(cfg)['conv1.weight'].shape[0] == width
    pretraining_chain.check_fit(cfg, finetune, name, config)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        assert len(DATASETS.build(cfg.train_dataloader.dataset)) == len(list(images.iterdir()))


SAID_BEFORE = {
    'no folder': (dict(images='nowhere'), 'nowhere: no such folder'),
    'no images': (dict(images='empty'), 'no images found'),
    'no config': (dict(config='nowhere.py'), 'config nowhere.py: no such file'),
    'no backbone': (dict(config='some.py'), 'config some.py: model.backbone not found'),
    'no data': (
        dict(config='labels.py'),
        "HIT-UAV: 'not/there/ImageSets/Main/train.txt' not found",
    ),
    'no validation data': (
        dict(config='val.py'),
        "HIT-UAV: 'not/there/ImageSets/Main/val.txt' not found",
    ),
    'no data set': (dict(config='none.py'), 'config none.py: train_dataloader.dataset not found'),
    'another backbone': (
        dict(config='deep.py'),
        'config deep.py: 188 of the 265 tensors of its backbone are not in the pretrained one',
    ),
    'no pretraining config': (
        dict(options=['--pretrain-config', 'nowhere.py']),
        'config nowhere.py: no such file',
    ),
    'several data sets': (
        dict(options=['--pretrain-config', '{configs}/detsim/detsim_r18_mixed_96.py']),
        'train_dataloader.dataset is a ConcatDataset, expected one ImageTreeDataset',
    ),
    'no data set for pretraining': (
        dict(options=['--pretrain-config', 'some.py']),
        'config some.py: train_dataloader.dataset not found, expected one ImageTreeDataset',
    ),
    'no list of images': (
        dict(options=['--pretrain-options', 'image_list=list.txt']),
        'list.txt: no such file',
    ),
    'twice the same': (
        dict(options=['--arm', 'random', '--compare']),
        '--arm random --compare: both are the same',
    ),
    'no value': (dict(options=['--pretrain-options', 'foo']), "--pretrain-options: found 'foo'"),
    'no value either': (dict(options=['--cfg-options', 'a=1', 'b']), "--cfg-options: found 'b'"),
}


@pytest.mark.parametrize('case', SAID_BEFORE)
def test_said_before_anything_starts(case, tmp_path, repo_root, monkeypatch, capsys):
    given, message = SAID_BEFORE[case]
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'full').mkdir()
    cv2.imwrite(str(tmp_path / 'full/a.png'), cv2.UMat(4, 4, cv2.CV_8UC3).get())
    monkeypatch.chdir(tmp_path)
    configs = repo_root / 'configs'
    base = f'_base_ = [{str(configs / "obsdm/obsdm_r18_hituav.py")!r}]\n'
    tree = "dict(_delete_=True, type='ImageTreeDataset', data_root='full')"
    loader = f'train_dataloader = dict(dataset={tree})\n'
    for name, text in {
        'some': '',
        'val': base + loader + "val_dataloader = dict(dataset=dict(data_root='not/there'))",
        'none': base + 'train_dataloader = None',
        'deep': base + loader + 'val_dataloader = None\n'
        "model = dict(backbone=dict(_delete_=True, type='mmdet.ResNet', depth=50))",
    }.items():
        Path(f'{name}.py').write_text(text)
    raw = Config.fromfile(configs / 'obsdm/obsdm_r18_hituav.py')
    raw_dataset = raw.train_dataloader.dataset.dataset.dataset
    raw.train_dataloader.dataset = raw_dataset | dict(data_root='not/there')
    raw.dump('labels.py')
    tool = str(repo_root / 'tools/pretrain_and_finetune.py')
    options = [word.format(configs=configs) for word in given.get('options', ())]
    arguments = [tool, given.get('images', 'full'), given.get('config', 'some.py')]
    monkeypatch.setattr(sys, 'argv', [*arguments, '--work-dir', 'both', *options])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(tool, run_name='__main__')
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error
    assert len([line for line in error.splitlines() if 'error: ' in line]) == 1
    assert 'Traceback' not in error and not (tmp_path / 'both').exists()
