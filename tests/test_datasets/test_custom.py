# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""CustomBoxDataset: the same boxes in three formats, found by looking at the folder."""

import json

import pytest
from mmengine.config import Config

from smallobj_mm.datasets import CustomBoxDataset
from smallobj_mm.datasets.analysis.opening import open_datasets
from smallobj_mm.engine.class_fitting import fit_classes

#: Image of 80x40 px -> objects: class, box in px.
BOXES = {'a': [('kite', (10, 10, 30, 20)), ('drone', (40, 4, 44, 12))], 'b': []}


def write_coco(root, split):
    names = ['drone', 'kite']
    images = [dict(id=i, file_name=f'{n}.png', width=80, height=40) for i, n in enumerate(BOXES)]
    annotations = [
        dict(id=len(names) * i + j, image_id=i, category_id=names.index(name), area=1, iscrowd=0,
             bbox=[x1, y1, x2 - x1, y2 - y1])
        for i, objects in enumerate(BOXES.values()) for j, (name, (x1, y1, x2, y2)) in
        enumerate(objects)
    ]  # fmt: skip
    categories = [dict(id=i, name=name) for i, name in enumerate(names)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (root / split / '_annotations.coco.json').write_text(json.dumps(content))


def xml(objects):
    return '<annotation>{}</annotation>'.format(
        ''.join(
            f'<object><name>{name}</name><difficult>1</difficult><bndbox><xmin>{x1}</xmin>'
            f'<ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>'
            for name, (x1, y1, x2, y2) in objects
        )
    )


def write_voc(root, split):
    for name, objects in BOXES.items():
        (root / split / f'{name}.xml').write_text(xml(objects))


def write_yolo(root, split):
    (root / 'classes.txt').write_text('drone\nkite\n')
    for name, objects in BOXES.items():
        rows = [
            f'{("drone", "kite").index(label)} {(x1 + x2) / 160} {(y1 + y2) / 80} '
            f'{(x2 - x1) / 80} {(y2 - y1) / 40}'
            for label, (x1, y1, x2, y2) in objects
        ]
        (root / split / f'{name}.txt').write_text('\n'.join(rows))


WRITERS = dict(coco=write_coco, voc=write_voc, yolo=write_yolo)


@pytest.fixture
def folder(tmp_path, image_writer):
    """A folder with train/ and valid/, as Roboflow has them, in a format."""

    def make(form, splits=('train', 'valid')):
        for split in splits:
            for name in BOXES:
                image_writer(tmp_path / split / f'{name}.png', 80, 40)
            WRITERS[form](tmp_path, split)
        return str(tmp_path)

    return make


@pytest.mark.parametrize('form', WRITERS)
def test_the_doctor_opens_what_training_opens(folder, form):
    opened = open_datasets(folder(form))
    assert list(opened) == ['train', 'val']
    for dataset in opened.values():
        assert len(dataset) == 2 and dataset.metainfo['classes'] == ('drone', 'kite')


@pytest.mark.parametrize('form', WRITERS)
@pytest.mark.parametrize('split', ['train', 'val'])
def test_the_same_in_every_format(folder, form, split):
    dataset = CustomBoxDataset(split=split, data_root=folder(form))
    assert dataset.metainfo['classes'] == ('drone', 'kite')
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert len(infos) == 2 and (infos[0]['width'], infos[0]['height']) == (80, 40)
    found = [(i['bbox_label'], i['bbox'], i['ignore_flag']) for i in infos[0]['instances']]
    assert found == [
        (1, pytest.approx([10, 10, 30, 20]), 0), (0, pytest.approx([40, 4, 44, 12]), 0)
    ]  # fmt: skip
    assert infos[1]['instances'] == []


@pytest.mark.parametrize('form', WRITERS)
def test_the_config_takes_it(folder, repo_root, form):
    cfg = Config.fromfile(repo_root / 'configs/obsdm/obsdm_t_custom.py')
    for loader in (cfg.train_dataloader.dataset, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = folder(form)
    fit_classes(cfg)
    assert cfg.model.bbox_head.num_classes == 2
    assert cfg.val_dataloader.dataset.get('metainfo', {}).get('classes') in (
        None, ('drone', 'kite')
    )  # fmt: skip


@pytest.mark.parametrize('form', WRITERS)
def test_a_split_that_is_not_there(folder, form):
    root = folder(form, ('train',))
    CustomBoxDataset(data_root=root)
    with pytest.raises(FileNotFoundError, match="boxes of your own: 'labels of val' not"):
        CustomBoxDataset(split='val', data_root=root)


def test_a_file_in_place_of_what_is_found(folder):
    root = folder('coco')
    dataset = CustomBoxDataset(ann_file='valid/_annotations.coco.json', data_root=root)
    assert '/valid/' in dataset.get_data_info(0)['img_path']
    folder('voc')
    dataset = CustomBoxDataset(ann_file='valid', data_root=root)
    assert dataset.get_data_info(0)['img_id'] == 'a'
    with pytest.raises(FileNotFoundError, match=r"'.*gone\.json' not found"):
        CustomBoxDataset(ann_file='gone.json', data_root=root)


def test_lists_of_pascal_voc(tmp_path, image_writer):
    """Classes are those of the training split; DontCare is a region to ignore."""
    objects = {
        'a': [('van', (1, 1, 9, 9)), ('DontCare', (20, 20, 60, 40))],
        'b': [('bus', (1, 1, 9, 9))],
        'c': [('bus', (1, 1, 9, 9))],
        'd': [('ship', (1, 1, 9, 9))],
    }
    for folder in ('Annotations', 'ImageSets/Main'):
        (tmp_path / folder).mkdir(parents=True)
    for name, boxes in objects.items():
        image_writer(tmp_path / 'JPEGImages' / f'{name}.png', 80, 40)
        (tmp_path / 'Annotations' / f'{name}.xml').write_text(xml(boxes))
    for split, names in (('train', 'ab'), ('val', 'c'), ('test', 'd')):
        (tmp_path / 'ImageSets' / 'Main' / f'{split}.txt').write_text('\n'.join(names))
    train, val = (CustomBoxDataset(split, data_root=str(tmp_path)) for split in ('train', 'val'))
    assert train.metainfo['classes'] == val.metainfo['classes'] == ('bus', 'van')
    flags = [(i['bbox_label'], i['ignore_flag']) for i in train.get_data_info(0)['instances']]
    assert flags == [(1, 0), (0, 1)]
    with pytest.raises(ValueError, match=r"label 'ship' is outside the classes \('bus', 'van'\)"):
        CustomBoxDataset('test', data_root=str(tmp_path))


@pytest.mark.parametrize('label', ['DontCare', "don't care", 'ignore', 'Dont_Care'])
@pytest.mark.parametrize('split', ['train', 'valid'])
def test_regions_in_one_split_alone(folder, tmp_path, label, split):
    """Whichever it is; they are no class."""
    root = folder('voc')
    objects = [*BOXES['a'], (label, (50, 20, 60, 30))]
    (tmp_path / split / 'a.xml').write_text(xml(objects))
    dataset = CustomBoxDataset(split, data_root=root)
    assert dataset.metainfo['classes'] == ('drone', 'kite')
    flags = [(i['bbox_label'], i['ignore_flag']) for i in dataset.get_data_info(0)['instances']]
    assert flags == [(1, 0), (0, 0), (0, 1)]
    assert dataset.get_cat_ids(0) == [1, 0] and dataset.get_cat_ids(1) == []
    assert len(open_datasets(root)) == 2


def test_yolo_without_names(folder, tmp_path):
    root = folder('yolo')
    (tmp_path / 'classes.txt').unlink()
    with pytest.raises(ValueError, match='no file names the classes of its labels, expected data'):
        CustomBoxDataset(data_root=root)
    dataset = CustomBoxDataset(data_root=root, metainfo=dict(classes=('uav', 'toy')))
    assert dataset.metainfo['classes'] == ('uav', 'toy')


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='layouts understood: COCO JSON .*YOLO'):
        CustomBoxDataset(data_root=str(tmp_path))
