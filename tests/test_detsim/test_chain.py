# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Both stages in one command, and what another call makes of an interrupted one."""

import runpy
import sys

import cv2
import pytest

from smallobj_mm.engine.checkpoint import load_plain

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
model = dict(neck=dict(widen_factor=0.125),
             bbox_head=dict(head_module=dict(in_channels=[16, 32, 64])))
"""


@pytest.fixture
def command(tiny, tmp_path, repo_root, images):
    """The command line; the backbone has its full width, the detector demands it."""
    cfg = tiny(epochs=1, batch_size=12)
    cfg.model.backbone.update(stem_channels=64, base_channels=64)
    widths = [64, 128, 256, 512]
    cfg.model.neck.in_channels = cfg.model.auxiliary_head.in_channels = widths
    cfg.work_dir = None
    cfg.dump(tmp_path / 'pretrain.py')
    base = str(repo_root / 'configs/obsdm/obsdm_r18_demo.py')
    (tmp_path / 'finetune.py').write_text(FINETUNE.format(base=base, data=str(tmp_path / 'data')))
    return [
        sys.executable, repo_root / 'tools/pretrain_and_finetune.py', images,
        tmp_path / 'finetune.py', '--work-dir', tmp_path / 'both', '--pretrain-config',
        tmp_path / 'pretrain.py',
    ]


def test_both_stages_and_again(command, tmp_path, run_tool):
    done = run_tool(*command)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    both = tmp_path / 'both'
    assert 'loaded 120/120 tensors of SSLResNet18' in done.stdout + done.stderr
    assert (both / 'backbone.safetensors').is_file()
    pretrained = load_plain(both / 'pretrain/epoch_1.pth')
    assert pretrained['meta']['epoch'] == 1
    finished = load_plain(both / 'finetune/epoch_1.pth')['state_dict']
    assert any(name.startswith('bbox_head') for name in finished)
    again = run_tool(*command, '--cfg-options', 'train_cfg.max_epochs=2')
    assert again.returncode == 0, again.stderr[-3000:]
    assert 'pretraining is over' in again.stdout
    assert 'resumed epoch: 1' in again.stdout + again.stderr
    assert load_plain(both / 'finetune/epoch_2.pth')['meta']['epoch'] == 2


@pytest.mark.parametrize(('images', 'config', 'message'), [
    ('nowhere', None, 'nowhere: no such folder'),
    ('empty', None, 'no images found'),
    (None, 'nowhere.py', 'config nowhere.py: no such file'),
])
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
