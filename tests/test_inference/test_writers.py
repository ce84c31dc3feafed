# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import contextlib
import csv
import io
import json

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from smallobj_mm.inference import writers
from smallobj_mm.inference.coco_ids import CocoIds
from smallobj_mm.inference.targets import box_targets


@pytest.fixture
def records():
    two = box_targets(
        np.array([[1, 2, 4, 8], [10.5, 10, 12, 14]]), np.array([0.9, 0.25]), np.array([1, 0])
    )
    none = box_targets(np.zeros((0, 4)), np.zeros(0), np.zeros(0))
    return [
        writers.Record('a', 'in/a.png', 40, 30, [7, 9], two),
        writers.Record('b', 'in/b, "c".png', 20, 10, [], none),
    ]


@pytest.mark.parametrize('background', [False, True])
def test_coco_results_of_file_names(records, tmp_path, background):
    """loadRes of pycocotools takes them, with the images and categories beside."""
    classes = ('background', 'boat', 'car')[not background :]
    if background:
        records[0].targets.labels[:] += 1
    path = tmp_path / 'out' / 'predictions.json'
    assert writers.write_coco(path, records, classes, background) == 0
    writers.write_coco_images(path.with_name('images.json'), records, classes, background)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path.with_name('images.json')))
        loaded = coco.loadRes(str(path))
    assert {c['id']: c['name'] for c in coco.dataset['categories']} == {1: 'boat', 2: 'car'}
    sizes = [(i['file_name'], i['width'], i['height']) for i in coco.dataset['images']]
    assert sizes == [('in/a.png', 40, 30), ('in/b, "c".png', 20, 10)]
    first, second = loaded.loadAnns(loaded.getAnnIds(imgIds=['in/a.png']))
    assert (first['bbox'], first['area'], first['category_id']) == ([1, 2, 3, 6], 18, 2)
    assert first['score'] == pytest.approx(0.9) and second['category_id'] == 1
    assert loaded.getAnnIds(imgIds=['in/b, "c".png']) == []


def truth(tmp_path, **changes):
    content = dict(
        images=[dict(id=501, file_name='a.png'), dict(id=502, file_name='other/a.png')],
        categories=[dict(id=9, name='Car'), dict(id=3, name='boat')],
        annotations=[
            dict(id=1, image_id=501, category_id=9, bbox=[1, 2, 3, 6], area=18, iscrowd=0)
        ],
    )
    (tmp_path / 'truth.json').write_text(json.dumps({**content, **changes}))
    return tmp_path / 'truth.json'


def test_coco_results_with_the_ids_of_a_file(records, tmp_path):
    from pycocotools.cocoeval import COCOeval

    file = truth(tmp_path)
    ids = CocoIds(file, ('boat', 'car'))
    assert ids.image('x/other/a.png') == 502 and ids.image('y/a.png') == 501
    assert ids.image('other_a.png') is None
    assert writers.write_coco(tmp_path / 'p.json', records, ('boat', 'car'), False, ids) == 1
    results = json.loads((tmp_path / 'p.json').read_text())
    assert [(r['image_id'], r['category_id']) for r in results] == [(501, 9), (501, 3)]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(file))
        evaluation = COCOeval(coco, coco.loadRes(str(tmp_path / 'p.json')), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[1] == pytest.approx(1)


def test_coco_files_that_do_not_fit(tmp_path):
    with pytest.raises(FileNotFoundError, match='no such COCO file'):
        CocoIds(tmp_path / 'gone.json', ())
    with pytest.raises(ValueError, match='no category for van of the model, found car, boat'):
        CocoIds(truth(tmp_path), ('van', 'car'))
    for text, words in (('{', 'not readable as JSON'), ('[]', 'no COCO file'),
                        ('{"images": [{"id": 1}], "categories": []}', 'file_name')):  # fmt: skip
        (tmp_path / 'bad.json').write_text(text)
        with pytest.raises(ValueError, match=words):
            CocoIds(tmp_path / 'bad.json', ())
    with pytest.raises(ValueError, match='not readable .*directory.*; give a COCO file'):
        CocoIds(tmp_path, ())


def test_records_come_back_or_are_one_line(records):
    content = records[0].as_json()
    again = writers.Record.from_json(json.loads(json.dumps(content)))
    assert again.as_json() == content
    for damage in (
        dict(targets={}),
        dict(targets=[]),
        dict(targets=dict(content['targets'], bboxes=[1])),
    ):
        with pytest.raises(
            ValueError, match='^record of in/a.png: .*, expected what an earlier run'
        ):
            writers.Record.from_json(dict(content, **damage))
    del content['stamp']
    with pytest.raises(ValueError, match="KeyError .'stamp'."):
        writers.Record.from_json(content)


def test_csv(records, tmp_path):
    records[1].targets = records[0].targets
    records[1].frame, records[1].tracks = 7, [0, 12]
    writers.write_csv(tmp_path / 't.csv', records, ('boat', 'car'))
    rows = list(csv.DictReader((tmp_path / 't.csv').open()))
    assert list(rows[0]) == list(writers.CSV_COLUMNS)
    assert list(rows[0].values()) == [
        'in/a.png', '', '1', '', 'car', '0.9000', '1.00', '2.00', '4.00', '8.00', '2.50', '5.00',
        '18.00',
    ]  # fmt: skip
    assert [row['class'] for row in rows] == ['car', 'boat'] * 2
    assert [(r['frame'], r['target'], r['track']) for r in rows[2:]] == [
        ('7', '1', ''), ('7', '2', '12'),
    ]  # fmt: skip


def test_records_survive(records):
    records[0].frame, records[0].tracks = 3, [1, 0]
    for record in records:
        again = writers.Record.from_json(json.loads(json.dumps(record.as_json())))
        assert again.name == record.name and again.stamp == record.stamp
        assert (again.frame, again.tracks) == (record.frame, record.tracks)
        for one, other in zip(again.targets, record.targets):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


def test_images(tmp_path):
    writers.write_mask(tmp_path / 'm.png', np.array([[0, 1], [2, 0]]))
    mask = cv2.imread(str(tmp_path / 'm.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, [[0, 255], [255, 0]])
    writers.write_probabilities(tmp_path / 'p.png', np.array([[0.0, 0.5], [0.501, 1]]), 16)
    levels = cv2.imread(str(tmp_path / 'p.png'), cv2.IMREAD_UNCHANGED)
    assert levels.dtype == np.uint16 and (levels > 32767).tolist() == [[False, False], [True, True]]
    assert writers.result_path('o', 'sub/x.y', '.png').as_posix() == 'o/sub/x.y.png'
