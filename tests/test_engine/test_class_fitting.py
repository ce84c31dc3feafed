# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The number of classes follows the data; what cannot follow is one line before training."""

import json

import pytest
import torch
from mmengine.config import Config
from safetensors.torch import save_file

pytest.importorskip('mmdet')

from smallobj_mm.engine import class_fitting  # noqa: E402
from smallobj_mm.engine.class_fitting import fit_classes  # noqa: E402


@pytest.fixture
def logged(monkeypatch):
    lines = []
    monkeypatch.setattr(class_fitting, 'print_log', lambda text, **_: lines.append(text))
    return lines


@pytest.fixture
def coco(tmp_path):
    """Function that writes a COCO file and gives the config of its data set."""

    def write(split, *names):
        categories = [dict(id=n, name=name) for n, name in enumerate(names, 1)]
        path = tmp_path / f'{split}.json'
        path.write_text(json.dumps(dict(images=[], annotations=[], categories=categories)))
        return dict(type='CocoBoxDataset', data_root=str(tmp_path), split=split)

    return write


def config(train, val, model=None, **more):
    loaders = dict(val_dataloader=dict(dataset=val), test_dataloader=dict(dataset=val))
    if train is not None:
        wrapped = dict(type='MultiImageMixDataset', dataset=train, pipeline=[])
        loaders['train_dataloader'] = dict(dataset=wrapped)
    model = model or dict(type='X', bbox_head=dict(num_classes=80, module=dict(num_classes=80)))
    return Config(dict(default_scope='mmdet', model=model, **loaders, **more))


def classes_of(cfg):
    leaf = cfg.val_dataloader.dataset
    return tuple((leaf.get('metainfo') or {}).get('classes') or ())


def test_number_and_validation_follow_the_file(coco, logged):
    cfg = config(coco('train', 'drone', 'bird', 'plane'), coco('val', 'bird', 'drone'))
    fit_classes(cfg)
    assert cfg.model.bbox_head.num_classes == cfg.model.bbox_head.module.num_classes == 3
    assert classes_of(cfg) == ('drone', 'bird', 'plane')
    assert tuple(cfg.test_dataloader.dataset.metainfo.classes) == ('drone', 'bird', 'plane')
    assert len(logged) == 2 and 'bbox_head.num_classes: 80 becomes 3' in logged[0]
    fit_classes(cfg)
    assert len(logged) == 2


def test_every_head_of_a_cascade(coco, logged):
    heads = [dict(num_classes=80), dict(num_classes=3), dict(num_classes=80)]
    model = dict(rpn_head=dict(num_classes=1), roi_head=dict(bbox_head=heads))
    cfg = config(coco('train', 'a', 'b', 'c'), coco('val', 'a', 'b', 'c'), model)
    fit_classes(cfg)
    assert [head.num_classes for head in cfg.model.roi_head.bbox_head] == [3, 3, 3]
    assert cfg.model.rpn_head.num_classes == 1 and len(logged) == 2


def test_one_name_alone(coco):
    train = dict(coco('train', 'a', 'b'), metainfo=dict(classes='Person'))
    cfg = config(train, dict(coco('val', 'a'), metainfo=dict(classes='Person')))
    fit_classes(cfg)
    assert cfg.model.bbox_head.num_classes == 1


@pytest.mark.parametrize(
    'val', [dict(metainfo=dict(classes=('b', 'a'))), dict(metainfo=dict(classes=('a',))), {}]
)
def test_other_classes_are_one_line(coco, val):
    cfg = config(coco('train', 'a', 'b'), dict(coco('val', 'a', 'c'), **val))
    with pytest.raises(ValueError, match=r"val_dataloader .*has the classes .*\('a', 'b'\)") as e:
        fit_classes(cfg)
    assert '\n' not in str(e.value)


def test_yolo_names(tmp_path):
    (tmp_path / 'data.yaml').write_text('names: [x, y]\ntrain: images/train\nval: images/val')
    dataset = dict(type='smallobj_mm.YOLOFolderDataset', data_root=str(tmp_path))
    cfg = config(dataset, dict(dataset, split='val', metainfo=dict(classes=None)))
    fit_classes(cfg)
    assert cfg.model.bbox_head.num_classes == 2
    cfg = config(dict(dataset, metainfo=dict(classes=('y', 'x'))), dataset)
    with pytest.raises(ValueError, match=r'data\.yaml: names is'):
        fit_classes(cfg)


@pytest.mark.parametrize('name', ['best.pth', 'published.safetensors'])
def test_without_training_data_the_checkpoint_decides(coco, tmp_path, name):
    path = tmp_path / name
    if name.endswith('.pth'):
        meta = dict(dataset_meta=dict(classes=('b', 'a', 'c')))
        torch.save(dict(state_dict={}, meta=meta), path)
    else:
        save_file({'w': torch.ones(1)}, path, dict(classes='["b", "a", "c"]'))
    absent = dict(type='CocoBoxDataset', data_root=str(tmp_path / 'absent'))
    for train in (None, absent):
        cfg = config(train, coco('val', 'a', 'b'), load_from=str(path))
        fit_classes(cfg)
        assert classes_of(cfg) == ('b', 'a', 'c') and cfg.model.bbox_head.num_classes == 3
    cfg = config(None, coco('val', 'a', 'b'))
    fit_classes(cfg)
    assert cfg.model.bbox_head.num_classes == 2


def test_what_is_left_alone(coco, tmp_path):
    for cfg in (
        config(dict(type='CocoDataset', ann_file='x'), dict(type='CocoDataset')),
        config(dict(type='SmallObjectVOCDataset', ann_file='x'), {}, dict(backbone={})),
        Config(dict(default_scope='mmseg', model=dict(decode_head=dict(num_classes=2)))),
        Config(dict(default_scope='mmdet')),
    ):
        before = cfg.to_dict()
        fit_classes(cfg)
        assert cfg.to_dict() == before
