# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""CocoBoxDataset: exports as they are, and errors that name the record."""

import json

import numpy as np
import pytest

from smallobj_mm.datasets import CocoBoxDataset, dataset_to_coco
from smallobj_mm.datasets.parsers.coco_json import parse_coco_json


def content(**changes):
    """A COCO file of two images; ids do not start at 1 and categories are out of order."""
    return {
        'images': [
            dict(id=7, file_name='a.jpg', width=64, height=48),
            dict(id=3, file_name='sub/b.png', width=64, height=48),
        ],
        'annotations': [
            dict(id=1, image_id=7, category_id=9, bbox=[1, 2, 10.5, 20], iscrowd=0, area=210),
            dict(id=2, image_id=7, category_id=2, bbox=[3, 4, 5, 6], iscrowd=1,
                 segmentation=dict(counts=[1, 2], size=[48, 64])),
            dict(id=3, image_id=7, category_id=2, bbox=[3, 4, 5, 6], ignore=1),
        ],
        'categories': [
            dict(id=9, name='drone', supercategory='air'),
            dict(id=2, name='bird', supercategory='air'),
        ],
    } | changes  # fmt: skip


@pytest.fixture
def root(tmp_path, image_writer):
    """Function that writes a COCO file and its images."""

    def write(ann_file='train.json', folder='train', text=None, **changes):
        for name in ('a.jpg', 'sub/b.png'):
            image_writer(tmp_path / folder / name)
        path = tmp_path / ann_file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content(**changes)) if text is None else text)
        return str(tmp_path)

    return write


def test_content(root):
    dataset = CocoBoxDataset(data_root=root())
    assert dataset.metainfo['classes'] == ('bird', 'drone')
    assert len(dataset.metainfo['palette']) == 2
    infos = [dataset.get_data_info(index) for index in range(2)]
    assert [info['img_id'] for info in infos] == [7, 3]
    assert infos[0]['instances'] == [
        dict(bbox=[1, 2, 11.5, 22], bbox_label=1, ignore_flag=0),
        dict(bbox=[3, 4, 8, 10], bbox_label=0, ignore_flag=1),
        dict(bbox=[3, 4, 8, 10], bbox_label=0, ignore_flag=1),
    ]
    assert infos[1]['instances'] == [] and infos[1]['img_path'].endswith('train/sub/b.png')


@pytest.mark.parametrize(
    'split, ann_file, images',
    [
        ('train', 'annotations/instances_train2017.json', 'train2017'),
        ('val', 'valid/_annotations.coco.json', 'valid'),
        ('train', 'annotations/instances_default.json', 'images'),
        ('train', 'annotations/instances_default.json', 'images/default'),
        ('train', 'annotations.json', ''),
        ('test', 'test.json', 'test'),
        ('test', 'annotations/instances_test.json', 'images/test'),
        ('val', 'instances_val.json', ''),
    ],
)
def test_layouts(root, split, ann_file, images):
    folder = root(ann_file, images)
    for kwargs in (
        dict(split=split, data_root=folder),
        dict(ann_file=ann_file, data_root=folder),
        dict(ann_file=f'{folder}/{ann_file}'),
        dict(ann_file=ann_file, data_root=folder, img_dir=images),
    ):
        assert len(CocoBoxDataset(**kwargs, serialize_data=False)) == 2
    other = 'val' if split != 'val' else 'test'
    with pytest.raises(FileNotFoundError, match=f"a COCO file of split '{other}'.*_annotations"):
        CocoBoxDataset(split=other, data_root=folder)


def test_missing_files(root, tmp_path):
    folder = root()
    with pytest.raises(FileNotFoundError, match=r"COCO JSON: '.*gone\.json' not found"):
        CocoBoxDataset(ann_file='gone.json', data_root=folder)
    (tmp_path / 'train' / 'a.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r"train\.json, image 7: its image 'a\.jpg' does"):
        CocoBoxDataset(data_root=folder)
    assert len(CocoBoxDataset(data_root=folder, check_images=False)) == 2
    with pytest.raises(FileNotFoundError, match=r"image 7: .*looked in '.*/nowhere'"):
        CocoBoxDataset(data_root=folder, img_dir='nowhere')


def test_paths_of_other_machines(root):
    images = [
        dict(id=1, file_name='/home/them/data/a.jpg'), dict(id='x', file_name='sub\\b.png'),
    ]  # fmt: skip
    dataset = CocoBoxDataset(data_root=root(images=images, annotations=[]))
    infos = [dataset.get_data_info(index) for index in range(2)]
    assert [(i['img_id'], i['width'], i['height']) for i in infos] == [(1, 64, 48), ('x', 64, 48)]


def test_classes_by_name(root):
    folder = root()
    dataset = CocoBoxDataset(data_root=folder, metainfo=dict(classes=('drone', 'bird')))
    assert [i['bbox_label'] for i in dataset.get_data_info(0)['instances']] == [0, 1, 1]
    kwargs = dict(data_root=folder, metainfo=dict(classes='drone'))
    with pytest.raises(ValueError, match=r"label 'bird' is outside the classes \('drone',\)"):
        CocoBoxDataset(**kwargs)
    dataset = CocoBoxDataset(unknown_labels='drop', **kwargs)
    assert dataset.metainfo['classes'] == ('drone',)
    assert len(dataset.get_data_info(0)['instances']) == 1


def test_heading_of_roboflow_is_no_class(root):
    categories = [
        dict(id=0, name='things', supercategory='none'),
        dict(id=1, name='bird', supercategory='things'),
        dict(id=2, name='drone', supercategory='things'),
    ]
    annotations = [dict(id=0, image_id=7, category_id=2, bbox=[1, 1, 2, 2])]
    kwargs = dict(categories=categories, annotations=annotations)
    folder = root('train/_annotations.coco.json', **kwargs)
    dataset = CocoBoxDataset(data_root=folder)
    assert dataset.metainfo['classes'] == ('bird', 'drone')
    assert dataset.get_data_info(0)['instances'][0]['bbox_label'] == 1
    annotations[0]['category_id'] = 0
    root('train/_annotations.coco.json', **kwargs)
    assert CocoBoxDataset(data_root=folder).metainfo['classes'] == ('things', 'bird', 'drone')


def test_unusable_boxes(root, logged):
    boxes = [[5, 5, -1, 2], [5, 5, 0, 2], [70, 5, 2, 2], [60, 40, 20, 20], [1, 1, 2, 2]]
    annotations = [dict(id=n, image_id=3, category_id=2, bbox=b) for n, b in enumerate(boxes)]
    folder = root(annotations=annotations)
    dataset = CocoBoxDataset(data_root=folder)
    found = [i['bbox'] for i in dataset.get_data_info(1)['instances']]
    assert found == [[60, 40, 64, 48], [1, 1, 3, 3]]
    assert '3 of 5 boxes dropped: 1 inverted' in logged[0][1]
    with pytest.raises(ValueError, match=r'train\.json, image 3, box 1: .*inverted'):
        CocoBoxDataset(data_root=folder, strict=True)


def test_polygons_without_box(root):
    polygon = [[10, 5, 20, 8, 15, 30], [1, 6, 2, 6, 2, 7]]
    annotations = [dict(id=1, image_id=7, category_id=2, segmentation=polygon)]
    dataset = CocoBoxDataset(data_root=root(annotations=annotations))
    assert dataset.get_data_info(0)['instances'][0]['bbox'] == [1, 5, 20, 30]


def test_orphans_are_counted(root, monkeypatch):
    lines = []
    monkeypatch.setattr('smallobj_mm.datasets.coco.print_log', lambda text, **_: lines.append(text))
    annotations = [dict(id=1, image_id=99, category_id=2, bbox=[1, 1, 2, 2])]
    CocoBoxDataset(data_root=root(annotations=annotations))
    assert len(lines) == 1 and '1 annotations of images that it does not list' in lines[0]


def test_several_files(root):
    folder = root()
    root('more.json', categories=[dict(id=1, name='drone'), dict(id=5, name='bird')],
         annotations=[dict(id=1, image_id=7, category_id=1, bbox=[1, 1, 2, 2])])  # fmt: skip
    dataset = CocoBoxDataset(
        ann_file=['train.json', 'more.json'], data_root=folder, img_dir='train'
    )
    ids = [dataset.get_data_info(index)['img_id'] for index in range(4)]
    assert ids[:2] == [7, 3] and len(set(map(str, ids))) == 4
    assert dataset.get_data_info(2)['instances'][0]['bbox_label'] == 1
    root('more.json', categories=[dict(id=1, name='plane')], annotations=[])
    with pytest.raises(ValueError, match=r"more\.json: has the categories \('plane',\), but"):
        CocoBoxDataset(ann_file=['train.json', 'more.json'], data_root=folder)


IMAGE, BOX = dict(id=1, file_name='a.jpg'), dict(image_id=7, category_id=2)


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(text=''), 'not readable as JSON'),
        (dict(text='{"images": [}'), 'not readable as JSON'),
        (dict(text='[' * 100_000), 'not readable as JSON'),
        (dict(text='9' * 5_000), 'not readable as JSON'),
        (dict(text='[1, 2]'), 'found a list, expected the keys images'),
        (dict(text='{}'), 'no images, found the keys'),
        (dict(annotations=None), 'annotations is None'),
        (dict(annotations={}), 'annotations is {}'),
        (dict(categories=[]), 'categories is empty'),
        (dict(categories=[3]), 'category 1: found 3, expected id and name'),
        (dict(categories=[dict(name='a')]), 'category 1: no id'),
        (dict(categories=[dict(id=1)]), 'category 1: name is None'),
        (dict(categories=[dict(id=1, name='a')] * 2), 'category 2: the id 1 is there before'),
        (
            dict(categories=[dict(id=1, name='a'), dict(id=2, name='a')]),
            "two categories are called 'a'",
        ),
        (dict(images=[], annotations=[]), 'expected at least one'),
        (dict(images=['x']), "image 1: found 'x'"),
        (dict(images=[dict(file_name='a.jpg')]), 'image 1: no id'),
        (dict(images=[dict(id=1)]), 'image 1: no file_name'),
        (dict(images=[dict(id=1, file_name=5)]), 'image 1: file_name is 5'),
        (dict(images=[IMAGE, IMAGE]), 'image 2: the id 1 is there before'),
        (dict(images=[IMAGE | dict(width=64)]), r'image 1 .*width and height are \(64, None\)'),
        (dict(images=[IMAGE | dict(width=0, height=-1)]), 'expected two positive whole'),
        (dict(images=[IMAGE | dict(width='64', height='48')]), 'expected two positive whole'),
        (dict(annotations=[[]]), r'annotation 1: found \[\]'),
        (dict(annotations=[dict(category_id=2)]), 'annotation 1: no image_id'),
        (dict(annotations=[dict(image_id=7)]), 'annotation 1: no category_id'),
        (dict(annotations=[BOX]), 'annotation 1: no bbox and no polygon'),
        (dict(annotations=[BOX | dict(bbox=[1, 2, 3])]), r'bbox is \[1, 2, 3\], expected four'),
        (dict(annotations=[BOX | dict(bbox=[1, 2, 3, '4'])]), 'expected four finite numbers'),
        (dict(annotations=[BOX | dict(bbox=[1, 2, 3, True])]), 'expected four finite numbers'),
        (dict(annotations=[BOX | dict(bbox=[1, 2, 3, 1e999])]), 'expected four finite numbers'),
        (dict(annotations=[BOX | dict(bbox=[1, 2, 3, 10**400])]), 'expected four finite numbers'),
        (dict(annotations=[BOX | dict(bbox=list(range(10**5)))]), 'expected four finite numbers'),
        (dict(annotations=[BOX | dict(segmentation=[[1, 2, 3, 4]])]), 'expected a polygon'),
        (dict(annotations=[BOX | dict(segmentation=dict(counts=[3]))]), 'RLE are not read'),
        (dict(annotations=[BOX | dict(bbox=[1, 2, 3, 4], iscrowd='no')]), "iscrowd is 'no'"),
        (
            dict(annotations=[dict(image_id=7, category_id=4, bbox=[1, 1, 2, 2])]),
            r"label 'category 4' is outside the classes \('bird', 'drone'\)",
        ),
    ],
)
def test_malformed_files(root, changes, message):
    folder = root(**changes)
    with pytest.raises(ValueError, match=rf'train\.json.*{message}') as error:
        CocoBoxDataset(ann_file='train.json', data_root=folder)
    assert '\n' not in str(error.value) and len(str(error.value)) < 500


def test_written_and_read_again(root, tmp_path):
    dataset = CocoBoxDataset(data_root=root())
    (tmp_path / 'again.json').write_text(json.dumps(dataset_to_coco(dataset)))
    again = CocoBoxDataset(ann_file='again.json', data_root=str(tmp_path))
    assert again.metainfo['classes'] == dataset.metainfo['classes']
    for index in range(2):
        first, second = (d.get_data_info(index) for d in (dataset, again))
        assert first['img_path'] == second['img_path']
        assert first['instances'] == second['instances']


@pytest.mark.parametrize('split, images, boxes', [('train', 882, 855), ('val', 292, 281)])
def test_svanstrom(shared_dir, split, images, boxes):
    root = shared_dir / 'data' / 'svanstrom_ir'
    if not root.is_dir():
        pytest.skip(f'no {root}')
    dataset = CocoBoxDataset(split=split, data_root=str(root), strict=True, pipeline=[
        dict(type='LoadImageStrict')])  # fmt: skip
    assert dataset.metainfo['classes'] == ('airplane', 'bird', 'drone', 'helicopter')
    instances = [i for k in range(len(dataset)) for i in dataset.get_data_info(k)['instances']]
    assert (len(dataset), len(instances)) == (images, boxes)
    sizes = np.array([i['bbox'] for i in instances])
    areas = (sizes[:, 2:] - sizes[:, :2]).prod(axis=1)
    assert 0.5 < (areas < 256).mean() < 0.75
    assert dataset[0]['img'].shape == (256, 320, 3)
    parsed = parse_coco_json(str(root / f'{split}.json'))
    assert len(parsed.images) == images and parsed.orphans == 0
