# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""YOLOFolderDataset: folders and data.yaml."""

import numpy as np
import pytest

from smallobj_mm.datasets import YOLOFolderDataset
from smallobj_mm.datasets.parsers import label_path_of


@pytest.fixture
def folders(tmp_path, image_writer):
    """images/train with three images, of which the last has no label file."""
    for name in ('a', 'b', 'c'):
        image_writer(tmp_path / 'images' / 'train' / f'{name}.jpg', 80, 40)
    labels = tmp_path / 'labels' / 'train'
    labels.mkdir(parents=True)
    (labels / 'a.txt').write_bytes(b'0 0.5 0.5 0.25 0.5  \r\n\r\n2 0.1 0.1 0.2 0.2\r\n')
    (labels / 'b.txt').write_text('')
    return tmp_path


def test_folders(folders):
    dataset = YOLOFolderDataset(split='train', data_root=str(folders))
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [i['img_id'] for i in infos] == [f'images/train/{n}.jpg' for n in 'abc']
    assert [len(i['instances']) for i in infos] == [2, 0, 0]
    assert (infos[0]['width'], infos[0]['height']) == (80, 40)
    np.testing.assert_allclose(infos[0]['instances'][0]['bbox'], [30, 10, 50, 30])
    np.testing.assert_allclose(infos[0]['instances'][1]['bbox'], [0, 0, 16, 8], atol=1e-6)
    assert [i['bbox_label'] for i in infos[0]['instances']] == [0, 2]
    assert dataset.metainfo['classes'] == ('vest', 'helmet', 'worker')


def test_split_above_images(tmp_path, image_writer):
    image_writer(tmp_path / 'valid' / 'images' / 'a.png', 80, 40)
    (tmp_path / 'valid' / 'labels').mkdir()
    (tmp_path / 'valid' / 'labels' / 'a.txt').write_text('1 0.5 0.5 0.5 0.5')
    dataset = YOLOFolderDataset(split='valid', data_root=str(tmp_path))
    assert dataset.get_data_info(0)['instances'][0]['bbox'] == [20, 10, 60, 30]


@pytest.mark.parametrize(
    'yaml',
    [
        'names: [x, y, z]\ntrain: images/train',
        'names: {0: x, 2: z, 1: y}\nnc: 3\npath: .\ntrain: [images/train/]\nval: images/val',
        'names: [x, y, z]\npath: /elsewhere/on/another/machine\ntrain: images/train',
        'names: [x, y, z]\ntrain: ../images/train',
        'names: [x, y, z]\ntrain: list.txt',
    ],
)
def test_data_yaml(folders, yaml):
    (folders / 'data.yaml').write_text(yaml)
    (folders / 'list.txt').write_text('./images/train/a.jpg \r\nimages/train/b.jpg\r\n')
    dataset = YOLOFolderDataset(split='train', ann_file='data.yaml', data_root=str(folders))
    assert dataset.metainfo['classes'] == ('x', 'y', 'z')
    assert len(dataset.metainfo['palette']) == 3
    assert len(dataset) == (2 if 'list' in yaml else 3)
    assert len(dataset.get_data_info(0)['instances']) == 2


@pytest.mark.parametrize(
    ('train', 'found'),
    [
        ('[images/train, images/extra]', ['extra/e', 'train/a', 'train/b', 'train/c']),
        ('fold0.txt', ['train/b']),
        ('[images/train, images/gone]', ['train/a', 'train/b', 'train/c']),
    ],
)
def test_a_yaml_goes_before_folders(folders, image_writer, train, found):
    """Not where it names what is not there, as exports from other machines do."""
    image_writer(folders / 'images' / 'extra' / 'e.jpg', 80, 40)
    (folders / 'fold0.txt').write_text('images/train/b.jpg\n')
    (folders / 'data.yaml').write_text(f'names: [x, y, z]\ntrain: {train}')
    dataset = YOLOFolderDataset(split='train', data_root=str(folders))
    ids = sorted(dataset.get_data_info(i)['img_id'] for i in range(len(dataset)))
    assert ids == [f'images/{name}.jpg' for name in found]


def test_classes_must_agree_with_the_yaml(folders):
    (folders / 'data.yaml').write_text('names: [x, y, z]\ntrain: images/train')
    kwargs = dict(ann_file='data.yaml', data_root=str(folders))
    YOLOFolderDataset(metainfo=dict(classes=['x', 'y', 'z']), **kwargs)
    with pytest.raises(ValueError, match=r"data\.yaml: names is \('x', 'y', 'z'\), but metainfo"):
        YOLOFolderDataset(metainfo=dict(classes=('y', 'x', 'z')), **kwargs)


@pytest.mark.parametrize(
    'yaml, message',
    [
        ('[1, 2]', 'found a list'),
        ('names: [x\n', 'not readable as YAML'),
        ('train: images/train', 'names is None'),
        ('names: {1: x}\ntrain: images/train', r"keys \['1'\], expected 0 to 0"),
        ('names: [x]\nnc: 2\ntrain: images/train', "nc is '2', but names has 1"),
        ('names: [x]', 'none of the keys train, val, test'),
        ('names: [x]\nval: images/train', "no split 'train', found"),
    ],
)
def test_malformed_yaml(folders, yaml, message):
    (folders / 'data.yaml').write_text(yaml)
    with pytest.raises(ValueError, match=rf'data\.yaml: .*{message}') as error:
        YOLOFolderDataset(ann_file='data.yaml', data_root=str(folders))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'row, message',
    [
        ('0 0.5 0.5 0.5', 'found 4 fields'),
        ('0 0.5 0.5 0.5 0.5 0.9', 'found 6 fields'),
        ('0 a 0.5 0.5 0.5', 'expected five finite numbers'),
        ('0 nan 0.5 0.5 0.5', 'expected five finite numbers'),
        ('0 0.1 0.1 0.2 0.2 0.3 0.3 0.4', 'found 8 fields'),
        ('0 0.1 0.1 0.2 0.2 0.3 inf', 'expected finite numbers'),
        ('0 1 1 20 1 10 10', 'look like pixels'),
        ('3 0.5 0.5 0.5 0.5', 'class 3 is outside the classes; expected an index from 0 to 2'),
        ('-1 0.5 0.5 0.5 0.5', 'class -1 is outside'),
        ('0.5 0.5 0.5 0.5 0.5', 'class 0.5 is outside'),
        ('0 40 20 10 10', 'look like pixels'),
    ],
)
def test_bad_rows(folders, row, message):
    (folders / 'labels' / 'train' / 'b.txt').write_text(f'0 0.5 0.5 0.1 0.1\n{row}\n')
    with pytest.raises(ValueError, match=rf'b\.txt, line 2: .*{message}'):
        YOLOFolderDataset(data_root=str(folders))


def test_unusable_boxes(folders, logged):
    rows = ['0 0.5 0.5 -0.1 0.1', '0 0.5 0.5 0 0.1', '0 1.5 0.5 0.1 0.1', '0 1 1 0.5 0.5']
    (folders / 'labels' / 'train' / 'b.txt').write_text('\n'.join(rows))
    dataset = YOLOFolderDataset(data_root=str(folders))
    assert [i['bbox'] for i in dataset.get_data_info(1)['instances']] == [[60, 30, 80, 40]]
    assert '3 of 6 boxes dropped' in logged[0][1]
    with pytest.raises(ValueError, match=r'b\.txt, box 1: .*inverted'):
        YOLOFolderDataset(data_root=str(folders), strict=True)


def test_missing_things(folders, tmp_path):
    with pytest.raises(FileNotFoundError, match='layouts understood: images/SPLIT'):
        YOLOFolderDataset(split='test', data_root=str(folders))
    with pytest.raises(FileNotFoundError, match=r"'.*data\.yaml' not found"):
        YOLOFolderDataset(ann_file='data.yaml', data_root=str(folders))
    (folders / 'data.yaml').write_text('names: [x, y, z]\ntrain: list.txt\nval: images/val')
    with pytest.raises(FileNotFoundError, match=r"images/val' not found"):
        YOLOFolderDataset(split='val', ann_file='data.yaml', data_root=str(folders))
    (folders / 'list.txt').write_text('images/train/z.jpg')
    with pytest.raises(FileNotFoundError, match=r"list\.txt: names 'images/train/z\.jpg'"):
        YOLOFolderDataset(ann_file='data.yaml', data_root=str(folders))
    (folders / 'images' / 'empty').mkdir()
    with pytest.raises(ValueError, match='no image in this folder'):
        YOLOFolderDataset(split='empty', data_root=str(folders))


def test_no_label_file_at_all_is_an_error(tmp_path, image_writer):
    image_writer(tmp_path / 'images' / 'train' / 'a.jpg')
    with pytest.raises(FileNotFoundError, match=r'none of the 1 images.*labels/train/a\.txt'):
        YOLOFolderDataset(data_root=str(tmp_path))


def test_unreadable_image(folders):
    (folders / 'images' / 'train' / 'b.jpg').write_bytes(b'')
    with pytest.raises(ValueError, match=r'b\.jpg: not readable as an image \(0 bytes'):
        YOLOFolderDataset(data_root=str(folders))


def test_label_paths():
    assert label_path_of('images/x/images/train/a.b.jpg') == 'images/x/labels/train/a.b.txt'
    assert label_path_of('flat/a.jpg') == 'flat/a.txt'


def test_a_folder_called_images_far_above(tmp_path, image_writer):
    """It says nothing of labels that lie beside their images."""
    root = tmp_path / 'images' / 'birds'
    image_writer(root / 'train' / 'a.png', 80, 40)
    (root / 'train' / 'a.txt').write_text('0 0.5 0.5 0.5 0.5')
    dataset = YOLOFolderDataset(data_root=str(root))
    assert dataset.get_data_info(0)['instances'][0]['bbox'] == [20, 10, 60, 30]


def test_polygons_count_by_their_boxes(folders):
    path = folders / 'labels' / 'train' / 'b.txt'
    path.write_text('1 0.25 0.5 0.5 0.75 0.125 0.625\n0 0.5 0.5 0.25 0.5')
    found = YOLOFolderDataset(data_root=str(folders)).get_data_info(1)['instances']
    assert [i['bbox'] for i in found] == [[10, 20, 40, 30], [30, 10, 50, 30]]
    assert [i['bbox_label'] for i in found] == [1, 0]


def test_keypoints_are_no_polygon(folders):
    (folders / 'data.yaml').write_text('names: [x, y, z]\nkpt_shape: [2, 2]\ntrain: images/train')
    (folders / 'labels' / 'train' / 'b.txt').write_text('1 0.5 0.5 0.25 0.5 0.9 0.9 0.1 0.1')
    found = YOLOFolderDataset(data_root=str(folders)).get_data_info(1)['instances']
    assert [i['bbox'] for i in found] == [[30, 10, 50, 30]]


@pytest.mark.parametrize(
    'name, text',
    [
        ('data.yaml', 'names: {0: x, 1: y, 2: z}\ntrain: elsewhere'),
        ('obj.names', 'x\r\ny\r\nz\r\n'),
        ('classes.txt', 'x\ny\nz'),
        ('images/train/_darknet.labels', 'x\ny\nz'),
    ],
)
def test_names_that_lie_with_the_data(folders, name, text):
    (folders / name).write_text(text)
    dataset = YOLOFolderDataset(data_root=str(folders), metainfo=dict(classes=None))
    assert dataset.metainfo['classes'] == ('x', 'y', 'z') and len(dataset) == 3
    message = rf"{name.split('/')[-1]}: names is \('x', 'y', 'z'\), but metainfo"
    with pytest.raises(ValueError, match=message):
        YOLOFolderDataset(data_root=str(folders), metainfo=dict(classes=('vest', 'helmet')))


@pytest.mark.parametrize('folder', ['valid', 'valid/images', 'images/valid', 'obj_val_data'])
def test_exports(tmp_path, image_writer, folder):
    image_writer(tmp_path / folder / 'a.png', 80, 40)
    label = label_path_of(str(tmp_path / folder / 'a.png'))
    (tmp_path / 'classes.txt').write_text('Person')
    tmp_path.joinpath(label).parent.mkdir(parents=True, exist_ok=True)
    tmp_path.joinpath(label).write_text('0 0.5 0.5 0.5 0.5')
    dataset = YOLOFolderDataset(split='val', data_root=str(tmp_path))
    assert dataset.metainfo['classes'] == ('Person',)
    assert dataset.get_data_info(0)['instances'][0]['bbox'] == [20, 10, 60, 30]


def test_folders_of_a_yaml_without_being_named(folders):
    (folders / 'data.yaml').write_text('names: [x, y, z]\nval: images/train')
    assert len(YOLOFolderDataset(split='val', data_root=str(folders))) == 3


@pytest.mark.parametrize(
    'classes, message',
    [
        ([1, 2], r'classes are \[?\(?1, 2'),
        (['a', ''], 'expected names'),
        (['a', 'a'], 'each name once'),
    ],
)
def test_classes_that_are_none(folders, classes, message):
    with pytest.raises(ValueError, match=message):
        YOLOFolderDataset(data_root=str(folders), metainfo=dict(classes=classes))


def test_one_name_alone_is_a_class(folders):
    dataset = YOLOFolderDataset(
        data_root=str(folders), metainfo=dict(classes='Person'), lazy_init=True
    )
    assert dataset.metainfo['classes'] == ('Person',) and len(dataset.metainfo['palette']) == 1
