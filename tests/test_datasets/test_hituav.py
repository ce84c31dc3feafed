# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""HITUAVDataset: names of the classes and regions to ignore."""

import time
from collections import Counter

import pytest

from smallobj_mm.datasets import HITUAVDataset


def test_names_and_regions(voc_folder, xml_object):
    names = ('Person', 'Car', 'Bicycle', 'OtherVehicle', 'DontCare', 'other vehicle')
    voc_folder.add('a', ''.join(xml_object(name, difficult=1) for name in names))
    ann_file = voc_folder.list(['a'])
    dataset = HITUAVDataset(ann_file, data_root=str(voc_folder.root))
    instances = dataset.get_data_info(0)['instances']
    assert [i['bbox_label'] for i in instances] == [0, 1, 2, 3, 0, 3]
    assert [i['ignore_flag'] for i in instances] == [0, 0, 0, 0, 1, 0]
    assert [i.get('any_class', False) for i in instances] == [False] * 4 + [True, False]
    dataset = HITUAVDataset(ann_file, data_root=str(voc_folder.root), difficult='ignore')
    assert all(i['ignore_flag'] for i in dataset.get_data_info(0)['instances'])


def test_unknown_label(voc_folder, xml_object):
    voc_folder.add('a', xml_object('Boat'))
    with pytest.raises(ValueError, match="label 'Boat' is outside the classes"):
        HITUAVDataset(voc_folder.list(['a']), data_root=str(voc_folder.root))


def test_fewer_classes_on_request(voc_folder, xml_object):
    voc_folder.add('a', xml_object('Person') + xml_object('Car') + xml_object('DontCare'))
    dataset = HITUAVDataset(
        voc_folder.list(['a']),
        data_root=str(voc_folder.root),
        metainfo=dict(classes=('car',)),
        unknown_labels='drop',
    )
    assert [i['ignore_flag'] for i in dataset.get_data_info(0)['instances']] == [0, 1]


def test_missing_data(tmp_path):
    with pytest.raises(FileNotFoundError, match='HIT-UAV: .*not found.*github.com/suojiashun'):
        HITUAVDataset('ImageSets/Main/train.txt', data_root=str(tmp_path))


def test_published_data(shared_dir):
    root = str(shared_dir / 'data' / 'HIT-UAV')
    start = time.process_time()
    dataset = HITUAVDataset(
        [f'ImageSets/Main/{split}.txt' for split in ('train', 'val')],
        data_root=root,
        strict=True,
        pipeline=[dict(type='LoadImageStrict')],
    )
    assert time.process_time() - start < 20  # of the processor; 1 to 2 s
    assert len(dataset) == 2319
    counts = Counter()
    for index in range(len(dataset)):
        for instance in dataset.get_data_info(index)['instances']:
            counts['ignored' if instance['ignore_flag'] else instance['bbox_label']] += 1
    assert counts == {0: 9701, 1: 5972, 2: 4184, 3: 114, 'ignored': 117}
    assert dataset[0]['img'].shape == (512, 640, 3)


@pytest.mark.parametrize('split, images, ignored', [('train', 1861, 115), ('val', 379, 2)])
def test_split_by_flight(shared_dir, split, images, ignored):
    root = str(shared_dir / 'data' / 'HIT-UAV')
    dataset = HITUAVDataset(f'ImageSets/Main/flight_{split}.txt', data_root=root, strict=True)
    assert len(dataset) == images
    flags = [i['ignore_flag'] for k in range(images) for i in dataset.get_data_info(k)['instances']]
    assert sum(flags) == ignored
