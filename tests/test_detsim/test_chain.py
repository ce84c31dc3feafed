# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Both stages in one command, and what another call makes of an interrupted one."""

import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
import torch

from smallobj_mm.engine.checkpoint import load_plain
from smallobj_mm.models.initializers import ssl_pretrained

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

    def run(*options):
        monkeypatch.setattr(subprocess, 'run', in_process)
        called.clear()
        status = call(
            [
                tool,
                str(images),
                str(tmp_path / 'finetune.py'),
                '--work-dir',
                str(tmp_path / 'both'),
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
    both = tmp_path / 'both'
    assert len(said) == 1 and 'loaded 120/120 tensors of SSLResNet18' in said[0]
    pretrained = load_plain(both / 'pretrain/epoch_1.pth')['state_dict']
    backbone = load_plain(both / 'backbone.safetensors')
    assert torch.equal(backbone['conv1.weight'], pretrained['backbone.conv1.weight'])
    finished = load_plain(both / 'finetune/epoch_1.pth')['state_dict']
    assert any(name.startswith('bbox_head') for name in finished)
    # What stopped after the first stage, or was asked for more epochs, goes on.
    assert chain('--cfg-options', 'train_cfg.max_epochs=2') == (0, ['train.py'])
    assert 'pretraining is over' in capsys.readouterr().out
    assert load_plain(both / 'finetune/epoch_2.pth')['meta']['iter'] == 2


@pytest.mark.parametrize(
    ('images', 'config', 'message'),
    [
        ('nowhere', None, 'nowhere: no such folder'),
        ('empty', None, 'no images found'),
        (None, 'nowhere.py', 'config nowhere.py: no such file'),
    ],
)
def test_said_before_anything_starts(
    images, config, message, tmp_path, repo_root, monkeypatch, capsys
):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'full').mkdir()
    cv2.imwrite(str(tmp_path / 'full/a.png'), cv2.UMat(4, 4, cv2.CV_8UC3).get())
    monkeypatch.chdir(tmp_path)
    tool = str(repo_root / 'tools/pretrain_and_finetune.py')
    (tmp_path / 'some.py').write_text('')
    arguments = [tool, images or 'full', config or 'some.py', '--work-dir', 'both']
    monkeypatch.setattr(sys, 'argv', arguments)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(tool, run_name='__main__')
    assert stop.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / 'both').exists()
