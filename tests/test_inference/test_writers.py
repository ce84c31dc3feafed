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
from smallobj_mm.inference.progress import Progress, duration
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
def test_coco(records, tmp_path, background):
    classes = ('background', 'boat', 'car')[not background :]
    if background:
        records[0].targets.labels[:] += 1
    path = tmp_path / 'out' / 'predictions.json'
    writers.write_coco(path, records, classes, background)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    assert {c['id']: c['name'] for c in coco.dataset['categories']} == {1: 'boat', 2: 'car'}
    sizes = [(i['file_name'], i['width'], i['height']) for i in coco.dataset['images']]
    assert sizes == [('in/a.png', 40, 30), ('in/b, "c".png', 20, 10)]
    first, second = coco.loadAnns(coco.getAnnIds(imgIds=1))
    assert (first['bbox'], first['area'], first['category_id']) == ([1, 2, 3, 6], 18, 2)
    assert first['score'] == pytest.approx(0.9) and second['category_id'] == 1
    assert coco.getAnnIds(imgIds=2) == []


def test_csv(records, tmp_path):
    writers.write_csv(tmp_path / 't.csv', records, ('boat', 'car'))
    rows = list(csv.DictReader((tmp_path / 't.csv').open()))
    assert list(rows[0]) == list(writers.CSV_COLUMNS)
    assert list(rows[0].values()) == [
        'in/a.png', 'car', '0.9000', '1.00', '2.00', '4.00', '8.00', '2.50', '5.00', '18.00',
    ]  # fmt: skip
    assert [row['class'] for row in rows] == ['car', 'boat']


def test_records_survive(records):
    for record in records:
        again = writers.Record.from_json(json.loads(json.dumps(record.as_json())))
        assert again.name == record.name and again.stamp == record.stamp
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


def test_progress_estimates():
    now, stream = [0.0], io.StringIO()
    progress = Progress(4, stream, lambda: now[0])
    progress.update(0.5)
    now[0] = 20
    progress.update(0.5)
    assert stream.getvalue() == '0 of 4 images (12 %), 0:20 passed, about 2:20 left\n'
    stream.isatty = lambda: True
    stream.truncate(0)
    progress = Progress(4, stream, lambda: now[0])
    now[0] = 3620
    progress.update(2)
    progress.note('note')
    progress.close()
    assert '2 of 4 images (50 %), 1:00:00 passed, about 1:00:00 left' in stream.getvalue()
    assert stream.getvalue().endswith('\rnote\n')
    assert duration(61) == '1:01'
