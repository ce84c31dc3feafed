# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Export to COCO JSON, through the command too."""

import json

import pytest
from mmdet.datasets import CocoDataset

from smallobj_mm.datasets import (
    HITUAVDataset,
    SmallObjectVOCDataset,
    SyntheticSmallObjectDataset,
    dataset_to_coco,
    make_synthetic_dataset,
)
from smallobj_mm.utils.errors import errors_in_one_line


@pytest.fixture(scope='module')
def command(load_tool):
    """tools/dataset_converters/to_coco.py: from arguments to the exit status."""
    module = load_tool('dataset_converters/to_coco')

    def run(arguments):
        try:
            with errors_in_one_line():
                module.main(arguments)
        except SystemExit as stop:
            return stop.code
        return 0

    return run


def read_with_mmdet(ann_file, root, metainfo):
    return CocoDataset(
        ann_file=str(ann_file),
        data_root=str(root),
        data_prefix=dict(img=''),
        metainfo=metainfo,
        test_mode=True,
    )


def test_content(voc_folder, xml_object):
    voc_folder.add('a', xml_object('Car', (1.25, 2.5, 4.5, 7.5)) + xml_object('DontCare')).add('b')
    dataset = HITUAVDataset(voc_folder.list(['a', 'b']), data_root=str(voc_folder.root))
    coco = dataset_to_coco(dataset)
    assert coco['images'] == [
        dict(id=1, file_name='JPEGImages/a.jpg', width=64, height=48),
        dict(id=2, file_name='JPEGImages/b.jpg', width=64, height=48),
    ]
    assert [c['name'] for c in coco['categories']] == ['person', 'car', 'bicycle', 'other vehicle']
    first, *regions = coco['annotations']
    assert first == dict(
        id=1, image_id=1, category_id=2, bbox=[1.25, 2.5, 3.25, 5.0], area=16.25, iscrowd=0
    )
    # a region to ignore counts for every category
    assert [r['category_id'] for r in regions] == [1, 2, 3, 4]
    assert all(r['iscrowd'] == 1 and r['bbox'] == [1, 2, 29, 38] for r in regions)
    assert [a['id'] for a in coco['annotations']] == [1, 2, 3, 4, 5]


def test_stock_coco_data_set_keeps_the_regions(tmp_path, voc_folder, xml_object):
    voc_folder.add('a', xml_object('Car', (1, 2, 5, 6)) + xml_object('DontCare'))
    dataset = HITUAVDataset(voc_folder.list(['a']), data_root=str(voc_folder.root))
    (tmp_path / 'out.json').write_text(json.dumps(dataset_to_coco(dataset)))
    stock = read_with_mmdet(tmp_path / 'out.json', voc_folder.root, dataset.metainfo)
    instances = stock.get_data_info(0)['instances']
    assert [i['ignore_flag'] for i in instances] == [0, 1, 1, 1, 1]


def test_difficult_object_stays_in_its_class(voc_folder, xml_object):
    voc_folder.add('a', xml_object('person', difficult=1))
    dataset = SmallObjectVOCDataset(voc_folder.list(['a']), data_root=str(voc_folder.root))
    (annotation,) = dataset_to_coco(dataset)['annotations']
    assert annotation['iscrowd'] == 1 and annotation['category_id'] == 15


def test_stock_coco_data_set_reads_the_same(tmp_path, command, capsys):
    root, out = tmp_path / 'set', tmp_path / 'out.json'
    options = ['--num-images', '10', '--image-size', '160', '--seed', '3']
    args = ['synthetic', str(root), str(out), '--ann-file', 'ImageSets/Main/train.txt', *options]
    assert command(args) == 0
    assert '8 images' in capsys.readouterr().out
    ours = SyntheticSmallObjectDataset(
        'ImageSets/Main/train.txt', data_root=str(root), num_images=10, image_size=160, seed=3
    )
    stock = read_with_mmdet(out, root, ours.metainfo)
    assert len(stock) == len(ours) == 8
    for index in range(8):
        one, other = stock.get_data_info(index), ours.get_data_info(index)
        assert one['img_path'] == other['img_path']
        assert [i['bbox_label'] for i in one['instances']] == [
            i['bbox_label'] for i in other['instances']
        ]
        for left, right in zip(one['instances'], other['instances']):
            assert left['bbox'] == pytest.approx(right['bbox'], abs=1e-9)


def test_source_is_read_as_it_was_made(tmp_path, command, capsys):
    """It is never made anew with the command's own parameters."""
    root, out = tmp_path / 'set', tmp_path / 'out.json'
    make_synthetic_dataset(
        str(root), num_images=6, image_size=96, seed=3, style='infrared', val_fraction=0.5
    )
    before = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    args = ['synthetic', str(root), str(out), '--ann-file', 'ImageSets/Main/val.txt']
    assert command(args) == 0
    coco = json.loads(out.read_text())
    assert len(coco['images']) == 3 and coco['images'][0]['width'] == 96
    assert [c['name'] for c in coco['categories']] == ['target']
    assert command([*args, '--seed', '3', '--num-images', '6']) == 0
    out.unlink()
    assert command([*args, '--seed', '4']) == 2
    error = capsys.readouterr().err.strip()
    assert str(root) in error and "'seed': 3" in error and '--seed 4' in error
    assert '\n' not in error and not out.exists()
    assert {path: path.stat().st_mtime_ns for path in root.rglob('*')} == before
    (root / 'synthetic.json').write_text('{damaged')
    assert command(args) == 2
    assert 'damaged' in capsys.readouterr().err
    assert len(list(root.rglob('*'))) == len(before)


def test_other_formats(tmp_path, voc_folder, xml_object, image_writer, command):
    out = tmp_path / 'out.json'
    voc_folder.add('a', xml_object('tree', difficult=1))
    voc = ['voc', str(voc_folder.root), str(out), '--ann-file', voc_folder.list(['a'])]
    assert command([*voc, '--classes', 'tree', '--difficult', 'keep']) == 0
    assert json.loads(out.read_text())['annotations'][0]['iscrowd'] == 0

    voc_folder.add('a', xml_object('OtherVehicle'))
    hituav = ['hituav', str(voc_folder.root), str(out), '--ann-file', voc_folder.list(['a'])]
    assert command(hituav) == 0
    assert json.loads(out.read_text())['annotations'][0]['category_id'] == 4

    image_writer(tmp_path / 'images' / 'val' / 'a.png')
    (tmp_path / 'labels' / 'val').mkdir(parents=True)
    (tmp_path / 'labels' / 'val' / 'a.txt').write_text('1 0.5 0.5 0.5 0.5')
    assert command(['yolo', str(tmp_path), str(out), '--split', 'val']) == 0
    assert json.loads(out.read_text())['annotations'][0]['bbox'] == [16, 12, 32, 24]

    (tmp_path / 'test.yaml').write_text(
        '- {path: a.png, boxes: [{label: RedLeft, x_min: 1, x_max: 3, y_min: 2, y_max: 4.5}]}'
    )
    bosch = ['bosch', str(tmp_path), str(out), '--ann-file', 'test.yaml', '--labels-only']
    assert command(bosch) == 0
    assert json.loads(out.read_text())['annotations'][0]['bbox'] == [1, 2, 2, 2.5]


def test_errors_are_one_line_and_write_nothing(tmp_path, voc_folder, xml_object, command, capsys):
    out = tmp_path / 'out.json'
    voc_folder.add('a', xml_object('tram'))
    args = ['voc', str(voc_folder.root), str(out), '--ann-file', voc_folder.list(['a'])]
    assert command(args) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith('error: ') and "label 'tram'" in error and '\n' not in error
    assert command(['hituav', str(tmp_path / 'no'), str(out), '--ann-file', 'x.txt']) == 2
    assert 'HIT-UAV' in capsys.readouterr().err
    assert not out.exists()
