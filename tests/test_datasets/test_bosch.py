# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""BoschTrafficLightsDataset: label files as published."""

import time

import pytest

from smallobj_mm.datasets import BoschTrafficLightsDataset
from smallobj_mm.datasets.parsers import BOSCH_MERGE, parse_bosch_yaml

RECORDS = """
- boxes: []
  path: ./rgb/train/x/1.png
- boxes:
  - {label: RedLeft, occluded: false, x_max: 618.375, x_min: 612.5, y_max: 361.125, y_min: 351.625}
  - {label: 'off', occluded: true, x_max: 1290.5, x_min: 1270, y_max: 10, y_min: -2.5}
  - {label: GreenStraight, occluded: true, x_max: 10, x_min: 12, y_max: 10, y_min: 2}
  path: ./rgb/train/x/2.png
"""


@pytest.fixture
def root(tmp_path):
    """A label file and its (empty) images; their size is known, so that they are not read."""
    (tmp_path / 'train.yaml').write_text(RECORDS)
    for name in ('1', '2'):
        path = tmp_path / 'rgb' / 'train' / 'x' / f'{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def build(root, ann_file='train.yaml', **kwargs):
    return BoschTrafficLightsDataset(ann_file=ann_file, data_root=str(root), **kwargs)


def test_merge_order_clip_and_drop(root, logged):
    dataset = build(root)
    assert dataset.metainfo['classes'] == ('Yellow', 'Red', 'off', 'Green')
    info = dataset.get_data_info(1)
    assert (info['width'], info['height']) == (1280, 720)
    assert info['img_path'] == str(root / 'rgb/train/x/2.png')
    assert info['instances'] == [
        dict(bbox=[612.5, 351.625, 618.375, 361.125], bbox_label=1, ignore_flag=0),
        dict(bbox=[1270.0, 0.0, 1280.0, 10.0], bbox_label=2, ignore_flag=0),
    ]
    assert '1 inverted (first: ' in logged[0][1] and 'train.yaml, record 2, box 3' in logged[0][1]
    with pytest.raises(ValueError, match=r'train\.yaml, record 2, box 3: .* is inverted'):
        build(root, strict=True)


def test_merge_has_14_labels_and_4_states():
    assert len(BOSCH_MERGE) == 14 and set(BOSCH_MERGE.values()) == {'Yellow', 'Red', 'off', 'Green'}


def test_unmerged_labels(root):
    dataset = build(root, metainfo=dict(classes=tuple(BOSCH_MERGE)))
    labels = [i['bbox_label'] for i in dataset.get_data_info(1)['instances']]
    assert [tuple(BOSCH_MERGE)[label] for label in labels] == ['RedLeft', 'off']


def test_unknown_label_and_unquoted_off(root):
    (root / 'train.yaml').write_text(RECORDS.replace("'off'", 'off'))
    assert build(root).get_data_info(1)['instances'][1]['bbox_label'] == 2
    (root / 'train.yaml').write_text(RECORDS.replace('RedLeft', 'Blue'))
    with pytest.raises(ValueError, match=r"train\.yaml, record 2, object 1: label 'Blue'"):
        build(root)


def test_paths_of_another_machine(root):
    text = RECORDS.replace('./rgb/train/x/2.png', '/net/home/author/data/rgb/train/x/2.png')
    (root / 'train.yaml').write_text(text)
    assert build(root).get_data_info(1)['img_path'] == str(root / 'rgb/train/x/2.png')
    # the longest common end of the path decides
    other = root / 'rgb' / 'test' / '2.png'
    other.parent.mkdir()
    other.touch()
    assert build(root).get_data_info(1)['img_path'] == str(root / 'rgb/train/x/2.png')
    (root / 'train.yaml').write_text(text.replace('rgb/train/x/2.png', '2.png'))
    with pytest.raises(ValueError, match='expected one file of that name'):
        build(root)


def test_missing_image_and_missing_data(root, tmp_path):
    (root / 'rgb/train/x/2.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'train\.yaml, record 2: its image .*2\.png'):
        build(root)
    assert len(build(root, check_images=False)) == 2
    with pytest.raises(FileNotFoundError) as error:
        build(root, 'test.yaml')
    text = str(error.value)
    assert '\n' not in text and f'{root}/test.yaml' in text and 'hci.iwr' in text


def test_image_listed_twice(root):
    with pytest.raises(ValueError, match='record 1: path .* is there before, at .*record 1'):
        build(root, ['train.yaml', 'train.yaml'])


@pytest.mark.parametrize(
    'text, message',
    [
        ('', 'the list is empty'),
        ('[]', 'the list is empty'),
        ('a: 1', 'found a dict, expected a list'),
        ('- [1', 'not readable as YAML'),
        ('- {path: a.png}', 'record 1: found .* expected the keys boxes and path'),
        ('- {path: a.png, boxes: 3}', "record 1: boxes is '3', expected a list"),
        ('- {path: a.png, boxes: [{x_min: 1}]}', 'record 1, box 1: found'),
        (
            '- {path: a.png, boxes: [{label: Red, x_min: 1, x_max: 2, y_min: 1}]}',
            'record 1, box 1: .*expected four finite numbers',
        ),
        (
            '- {path: a.png, boxes: [{label: Red, x_min: .nan, x_max: 2, y_min: 1, y_max: 3}]}',
            'expected four finite numbers',
        ),
    ],
)
def test_malformed_files(tmp_path, text, message):
    (tmp_path / 'train.yaml').write_text(text)
    with pytest.raises(ValueError, match=rf'train\.yaml.*{message}') as error:
        parse_bosch_yaml(str(tmp_path / 'train.yaml'))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'name, images, boxes, leave, labels',
    [('train', 5093, 10756, 71, 13), ('test', 8334, 13486, 0, 4)],
)
def test_published_labels(shared_dir, logged, name, images, boxes, leave, labels):
    folder = shared_dir / 'data' / 'bstld_labels'
    start = time.process_time()
    # unmerged, to count the labels of the file
    dataset = build(
        folder, f'{name}.yaml', check_images=False, metainfo=dict(classes=tuple(BOSCH_MERGE))
    )
    assert time.process_time() - start < 20  # of the processor; 2 to 3 s
    instances = [i for k in range(len(dataset)) for i in dataset.get_data_info(k)['instances']]
    # Corners may be swapped in other copies of these files; in this one no box is lost.
    assert (len(dataset), len(instances)) == (images, boxes)
    assert len({i['bbox_label'] for i in instances}) == labels
    texts = [text for _, text in logged]
    assert len(texts) == bool(leave)
    assert not leave or f'{leave} of {boxes} boxes leave the image and were clipped' in texts[0]


def test_published_labels_merged(shared_dir):
    folder = shared_dir / 'data' / 'bstld_labels'
    dataset = build(folder, 'additional_train.yaml', check_images=False)
    counts = [0] * 4
    for index in range(len(dataset)):
        for instance in dataset.get_data_info(index)['instances']:
            counts[instance['bbox_label']] += 1
    assert counts == [15, 110, 21, 175]
