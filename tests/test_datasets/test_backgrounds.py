# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Backgrounds: every picture is found, annotated objects are ignored, broken files are named."""

import json

import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope

from smallobj_mm.datasets import BackgroundDataset

VOC = (
    '<annotation><filename>{name}.png</filename><object><name>Car</name><bndbox><xmin>10</xmin>'
    '<ymin>8</ymin><xmax>20</xmax><ymax>14</ymax></bndbox></object></annotation>'
)
PIPELINE = [dict(type='LoadImageStrict', color_type='grayscale'), dict(type='LoadBinaryMask')]


@pytest.fixture
def root(tmp_path):
    """Three pictures, one of them in a subfolder; the first has a car at (10, 8, 20, 14)."""
    for name in ('a.png', 'b.jpg', 'sub/c.png'):
        path = tmp_path / 'pictures' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((32, 40, 3), 90, np.uint8))
    (tmp_path / 'pictures' / 'notes.txt').write_text('no picture')
    (tmp_path / 'xml').mkdir()
    (tmp_path / 'xml' / 'a.xml').write_text(VOC.format(name='a'))
    content = dict(
        images=[dict(id=7, file_name='a.png'), dict(id=9, file_name='b.jpg')],
        annotations=[dict(image_id=7, category_id=1, bbox=[10, 8, 10, 6])],
        categories=[dict(id=1, name='Car')],
    )
    (tmp_path / 'boxes.json').write_text(json.dumps(content))
    (tmp_path / 'list.txt').write_text('a.png\r\nb\n\n')
    return tmp_path


def build(root, **options):
    """The data set with its images loaded."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build(
            dict(
                type='BackgroundDataset',
                data_root=str(root),
                image_folder='pictures',
                pipeline=PIPELINE,
                **options,
            )
        )


def test_pictures_have_empty_masks(root):
    dataset = build(root)
    assert len(dataset) == 3 and isinstance(dataset, BackgroundDataset)
    assert dataset.metainfo['classes'] == ('background', 'target')
    for results in dataset:
        assert results['gt_seg_map'].shape == results['img'].shape == (32, 40)
        assert results['gt_seg_map'].dtype == np.uint8 and not results['gt_seg_map'].any()
        assert results['seg_fields'] == ['gt_seg_map']


@pytest.mark.parametrize('boxes', ['xml', 'boxes.json'])
def test_objects_are_ignored_with_a_margin(root, boxes):
    dataset = build(root, boxes=boxes, image_list='list.txt', box_margin=2)
    assert len(dataset) == 2
    with_car, without = dataset[0]['gt_seg_map'], dataset[1]['gt_seg_map']
    rows, columns = np.nonzero(with_car)
    # 2 px and 15 % of the longer side, rounded outwards
    assert (columns.min(), columns.max() + 1) == (6, 24) and (rows.min(), rows.max() + 1) == (4, 18)
    assert (with_car[rows, columns] == 255).all() and not without.any()


def test_boxes_beyond_the_border_are_cut(root):
    content = json.loads((root / 'boxes.json').read_text())
    content['annotations'] = [
        dict(image_id=7, category_id=1, bbox=[-30, -30, 10, 10]),
        dict(image_id=9, category_id=1, bbox=[35, 28, 50, 50]),
    ]
    (root / 'boxes.json').write_text(json.dumps(content))
    dataset = build(root, boxes='boxes.json', image_list=str(root / 'list.txt'))
    assert not dataset[0]['gt_seg_map'].any()
    assert dataset[1]['gt_seg_map'][-1, -1] == 255


def test_broken_sources_are_named(root, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.*not found'):
        build(tmp_path / 'nowhere')
    with pytest.raises(FileNotFoundError, match="boxes is 'none.json'"):
        build(root, boxes='none.json')
    (root / 'other').mkdir()
    with pytest.raises(ValueError, match='none of its files is named as'):
        build(root, boxes='other')
    (root / 'list.txt').write_text('missing\n')
    with pytest.raises(FileNotFoundError, match="list.txt: names 'missing'"):
        build(root, image_list='list.txt')
    with pytest.raises(FileNotFoundError, match='no-list.txt'):
        build(root, image_list='no-list.txt')
    with pytest.raises(ValueError, match='box_margin is -1'):
        build(root, box_margin=-1)
    (root / 'empty').mkdir()
    with pytest.raises(ValueError, match='no image found'):
        BackgroundDataset(str(root), image_folder='empty')


def test_broken_coco_files(root):
    file = root / 'boxes.json'
    content = json.loads(file.read_text())
    file.write_text('{')
    with pytest.raises(ValueError, match='boxes.json: not readable as JSON'):
        build(root, boxes='boxes.json')
    content['images'][0]['file_name'] = 'z.png'
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='boxes.json: names none of the 3 pictures'):
        build(root, boxes='boxes.json')


def test_real_frames_are_ignored_where_they_have_objects(shared_dir):
    root = shared_dir / 'data' / 'HIT-UAV'
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(
            dict(
                type='BackgroundDataset',
                data_root=str(root),
                image_folder='JPEGImages',
                image_list='ImageSets/Main/flight_val.txt',
                boxes='Annotations',
                indices=20,
                pipeline=PIPELINE,
            )
        )
    shares = [(results['gt_seg_map'] == 255).mean() for results in dataset]
    assert len(shares) == 20 and 0 < np.mean(shares) < 0.5
