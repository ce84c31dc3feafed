# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the page computes, with toy models that find what is bright."""

import csv
import json
import zipfile

import cv2
import numpy as np
import PIL.Image
import pytest

from smallobj_mm.inference import SmallObjectInferencer

BOXES = [(10, 20, 14, 23), (50, 40, 58, 48)]


@pytest.fixture(scope='module')
def toys(toys_path):
    import infer_toys

    return infer_toys


@pytest.fixture(scope='module')
def models(toys, tmp_path_factory):
    folder = tmp_path_factory.mktemp('models')
    toys.write_models(folder)
    return {
        task: SmallObjectInferencer(folder / f'{task}.py', folder / f'{task}.pth')
        for task in ('seg', 'det')
    }


@pytest.fixture(scope='module')
def path(toys, tmp_path_factory):
    """A file with two targets, the first less bright than the second."""
    image = toys.scene(64, 80, BOXES[1:])
    x1, y1, x2, y2 = BOXES[0]
    image[y1:y2, x1:x2] = 105
    path = tmp_path_factory.mktemp('images') / 'frame.png'
    cv2.imwrite(str(path), image)
    return str(path)


@pytest.fixture(params=['seg', 'det'])
def analysis(request, models, path):
    from smallobj_mm.app.analysis import analyze

    return analyze(models[request.param], path, request.param)


def test_network_runs_once_for_all_thresholds(analysis, models, monkeypatch):
    """Each threshold gives what the inferencer gives with it."""
    from smallobj_mm.app.analysis import find

    inferencer = models[analysis.model]
    expected = {t: inferencer(analysis.image, threshold=t)[0] for t in (0.05, 0.5, 0.7, 0.95)}
    monkeypatch.setattr(type(inferencer), '_predict', None)
    counts = []
    for threshold, sample in expected.items():
        found = find(analysis, threshold)
        np.testing.assert_array_equal(found.targets.bboxes, sample.pred_instances.bboxes)
        np.testing.assert_array_equal(found.targets.scores, sample.pred_instances.scores)
        assert (found.mask is None) == (analysis.model == 'det')
        counts.append(len(found.targets.scores))
    assert counts == ([2, 2, 1, 1] if analysis.segmentation else [2, 1, 1, 0])


def test_every_view_has_the_picture_enlarged(analysis):
    from smallobj_mm.app.analysis import find
    from smallobj_mm.app.drawing import VIEWS, draw

    found = find(analysis, 0.3)
    pictures = [draw(analysis, found, view) for view in VIEWS[analysis.segmentation]]
    assert {picture.shape for picture in pictures} == {(64 * 6, 80 * 6, 3)}
    assert all((one != pictures[-1]).any() for one in pictures[:-1])
    with pytest.raises(ValueError, match="view is 'Heat', expected one of .*Image"):
        draw(analysis, found, 'Heat')


def test_large_images_are_reduced_and_small_targets_stay():
    from smallobj_mm.app.analysis import Analysis, find
    from smallobj_mm.app.drawing import REDUCED, draw

    probability = np.zeros((900, 4000), np.float32)
    probability[100, 3990] = 1
    image = np.zeros((900, 4000, 3), np.uint8)
    one = Analysis('a.png', 'm', image, ('background', 'target'), probability)
    found = find(one, 0.5)
    for view in ('Mask', 'Outlines'):
        picture = draw(one, found, view)
        assert picture.shape == (288, REDUCED, 3)
        assert picture[30:34, -8:].any()


def test_enlarged_targets(analysis):
    from smallobj_mm.app.analysis import find
    from smallobj_mm.app.drawing import enlarge_targets
    from smallobj_mm.inference.pictures import CELL

    found = find(analysis, 0.3)
    cells = enlarge_targets(analysis, found)
    assert len(cells) == len(found.targets.scores) > 0
    width = 2 * CELL + 4 if analysis.segmentation else CELL
    for number, (cell, text) in enumerate(cells, 1):
        assert cell.shape == (CELL, width, 3) and cell.max() == 255
        kind = analysis.classes[found.targets.labels[number - 1]]
        assert text == f'{number} · {kind} · {found.targets.scores[number - 1]:.2f}'


def test_nothing_found_draws_and_packs_too(analysis, tmp_path):
    from smallobj_mm.app.analysis import find
    from smallobj_mm.app.downloads import table_rows, write_archive
    from smallobj_mm.app.drawing import draw, enlarge_targets

    found = find(analysis, 1.0)
    assert table_rows(analysis, found) == [] and enlarge_targets(analysis, found) == []
    draw(analysis, found, 'Image')
    write_archive(tmp_path / 'a.zip', analysis, found)


def test_rows_and_archive(analysis, tmp_path):
    from smallobj_mm.app.analysis import find
    from smallobj_mm.app.downloads import HEADERS, table_rows, write_archive

    found = find(analysis, 0.05)
    rows = table_rows(analysis, found)
    assert [len(row) for row in rows] == [len(HEADERS)] * 2
    number, name, *lengths, score = rows[0]
    assert (number, name, lengths) == (1, rows[0][1], [50, 40, 8, 8, 64]) and 0 < score <= 1
    write_archive(tmp_path / 'results.zip', analysis, found)
    with zipfile.ZipFile(tmp_path / 'results.zip') as archive:
        names = {'targets.csv', 'predictions.json', 'picture.png', 'settings.json'}
        names |= {'enlarged.png'}
        names |= {'mask.png', 'probability.png'} if analysis.segmentation else set()
        assert set(archive.namelist()) == names
        lines = list(csv.DictReader(archive.read('targets.csv').decode().splitlines()))
        coco = json.loads(archive.read('predictions.json'))
        assert [line['image'] for line in lines] == ['frame.png'] * 2
        assert [one['bbox'] for one in coco] == [row[2:6] for row in rows]
        if analysis.segmentation:
            mask = cv2.imdecode(np.frombuffer(archive.read('mask.png'), np.uint8), -1)
            np.testing.assert_array_equal(mask == 255, found.mask)


def test_large_images_go_in_tiles(models, toys, tmp_path):
    from smallobj_mm.app.analysis import analyze, find

    cv2.imwrite(str(tmp_path / 'large.png'), toys.scene(700, 1300, [(635, 500, 645, 510)]))
    parts = []
    found = find(analyze(models['det'], str(tmp_path / 'large.png'), 'd', parts.append), 0.5)
    assert len(parts) > 3 and parts == sorted(parts) and parts[-1] == 1
    np.testing.assert_array_equal(found.targets.bboxes, [[635, 500, 645, 510]])


def text_file(path):
    path.write_text('no image')


def empty_file(path):
    path.write_bytes(b'')


def cut_file(path):
    data = cv2.imencode('.png', np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    path.write_bytes(data[: len(data) // 2])


def one_pixel(path):
    PIL.Image.new('L', (1, 1)).save(path, 'png')


def huge(path):
    PIL.Image.new('1', (9000, 6000)).save(path, 'png')


@pytest.mark.parametrize(
    'name, write, message',
    [
        ('notes.txt', text_file, 'notes.txt: not readable as an image (8 bytes, .txt)'),
        ('empty.png', empty_file, 'empty.png: not readable as an image (0 bytes'),
        ('cut.png', cut_file, 'cut.png: truncated image'),
        ('dot.png', one_pixel, 'dot.png: 1 × 1 px, too small'),
        ('huge.png', huge, 'huge.png: 9000 × 6000 px, more than the 50 million pixels'),
        ('film.mp4', text_file, 'film.mp4: '),
    ],
)
def test_what_is_no_image_is_one_sentence(models, tmp_path, name, write, message):
    from smallobj_mm.app.analysis import analyze

    write(tmp_path / name)
    with pytest.raises(ValueError) as caught:
        analyze(models['seg'], str(tmp_path / name), 's')
    text = str(caught.value)
    assert text.startswith(message) and str(tmp_path) not in text and '\n' not in text
    assert '; ' in text  # what to do
