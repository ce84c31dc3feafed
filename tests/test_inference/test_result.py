# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What people do with a result."""

import contextlib
import copy
import io
import json
import pickle
import sys

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from smallobj_mm.inference import SmallObjectInferencer

BOXES = [(10, 12, 16, 18), (84, 50, 92, 58), (150, 60, 190, 90)]


@pytest.fixture(scope='module', params=['det', 'seg'])
def inferencer(request, models):
    return SmallObjectInferencer(models / f'{request.param}.py', models / f'{request.param}.pth')


@pytest.fixture
def path(toys, tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), toys.scene(150, 240, BOXES))
    return tmp_path / 'a.png'


@pytest.fixture
def result(inferencer, path):
    return inferencer(path)[0]


def test_it_has_what_the_sample_has(result):
    assert result.ori_shape == (150, 240) and result.pred_instances is result.sample.pred_instances
    assert 'pred_instances' in result and 'nothing' not in result
    with pytest.raises(AttributeError):
        result.nothing  # noqa: B018
    again = pickle.loads(pickle.dumps(copy.copy(result.sample)))
    assert again.ori_shape == (150, 240)
    assert '240 x 150 px, 3 targets' in repr(result)


def test_images_of_files_are_read_again(result, path):
    assert result._image is None, 'no pixels of a long list are kept'
    np.testing.assert_array_equal(result.image, cv2.imread(str(path)))
    path.unlink()
    with pytest.raises(FileNotFoundError, match='a.png'):
        result.draw()


def test_pictures(result, tmp_path, monkeypatch):
    picture = result.draw()
    assert picture.shape[1] == 480 and result.draw(beside=True).shape[1] == 962
    assert cv2.imdecode(np.frombuffer(result._repr_png_(), np.uint8), 1).shape == picture.shape
    result.save(tmp_path / 'b.png')
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'b.png')), picture)
    with pytest.raises(ValueError, match=r"b.gif: ending '.gif', expected .csv, .json or one of"):
        result.save(tmp_path / 'b.gif')
    shown = []
    monkeypatch.setattr('PIL.Image.Image.show', lambda self, title: shown.append(self.size))
    monkeypatch.delitem(sys.modules, 'IPython', raising=False)
    result.show()
    assert shown == [picture.shape[1::-1]]
    assert result.draw_enlarged().shape[0] > 256


def test_pandas(result):
    pytest.importorskip('pandas')
    table = result.to_pandas()
    assert len(table) == 3 and table['target'].tolist() == [1, 2, 3]
    assert table['frame'].isna().all() and table['score'].is_monotonic_decreasing
    found = {tuple(row) for row in table[['x1', 'y1', 'x2', 'y2']].to_numpy()}
    assert found == set(BOXES)


def test_coco(result, tmp_path):
    truth = dict(images=[dict(id=77, file_name='a.png', height=150, width=240)], annotations=[],
                 categories=[dict(id=1, name='x'), dict(id=2, name='y')])  # fmt: skip
    (tmp_path / 'truth.json').write_text(json.dumps(truth))
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = COCO(str(tmp_path / 'truth.json')).loadRes(result.to_coco(image_id=77))
    boxes = {tuple(a['bbox']) for a in loaded.loadAnns(loaded.getAnnIds(imgIds=77))}
    assert boxes == {(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in BOXES}
    assert {a['category_id'] for a in loaded.dataset['annotations']} == {1}
    result.save(tmp_path / 'r.json')
    assert json.loads((tmp_path / 'r.json').read_text()) == result.to_coco()


def test_csv(result, tmp_path):
    result.save(tmp_path / 'r.csv')
    lines = (tmp_path / 'r.csv').read_text().splitlines()
    assert lines[0].startswith('image,frame,target,track,class,score') and len(lines) == 4


def test_supervision(result):
    supervision = pytest.importorskip('supervision')
    found = result.to_supervision(masks=True)
    assert isinstance(found, supervision.Detections) and len(found) == 3
    np.testing.assert_array_equal(found.xyxy, result.targets.bboxes)
    if result.mask is None:
        assert found.mask is None
    else:
        np.testing.assert_array_equal(found.mask.any(0), result.mask)
        assert found.mask.sum((1, 2)).tolist() == result.targets.areas.tolist()


def test_optional_packages_are_named(result, monkeypatch):
    for name in ('pandas', 'supervision'):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=f'needs {name}, .*pip install {name}'):
            getattr(result, f'to_{name}')()


def test_pictures_that_a_format_has_not(result, monkeypatch, tmp_path):
    wide = np.zeros((8, 66_000, 3), np.uint8)
    monkeypatch.setattr(type(result), 'draw', lambda self: wide)
    for name in ('a.jpg', 'a.webp'):
        with pytest.raises(
            ValueError, match=f'{name}: 66000 x 8 px cannot be written as .*take .png'
        ):
            result.save(tmp_path / name)
    result.save(tmp_path / 'a.png')
    assert [file.name for file in tmp_path.glob('a.*') if cv2.imread(str(file)).shape[1] > 240] == [
        'a.png'
    ]
