# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Clips, two models side by side and operating points, with toy models."""

import csv
import json
import zipfile
from types import SimpleNamespace

import cv2
import pytest

from smallobj_mm.app.analysis import Analysis, find
from smallobj_mm.app.clips import Clip, analyze_file, at_frame, write_clip_archive
from smallobj_mm.inference import SmallObjectInferencer


@pytest.fixture(scope='module')
def models(toys_path, tmp_path_factory):
    import infer_toys
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp('models')
    infer_toys.write_models(folder)
    points = {'balanced': 0.6, 'few-false-alarms': 0.9}
    save_file(infer_toys.SEGMENTOR, folder / 'p.safetensors',
              {'operating_points': json.dumps(points)})  # fmt: skip
    return {
        'seg': SmallObjectInferencer(folder / 'seg.py', folder / 'p.safetensors'),
        'det': SmallObjectInferencer(folder / 'det.py', folder / 'det.pth'),
    }


@pytest.fixture(scope='module')
def clip(toys_path, tmp_path_factory):
    import infer_toys

    path = tmp_path_factory.mktemp('clips') / 'film.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 10, (80, 64))
    if not writer.isOpened():
        pytest.skip('OpenCV cannot write a video here')
    for number in range(4):
        boxes = [(10 + 15 * i, 20, 16 + 15 * i, 26) for i in range(number)]
        writer.write(infer_toys.scene(64, 80, boxes))
    writer.release()
    return str(path)


@pytest.fixture(scope='module')
def page(models, tmp_path_factory):
    pytest.importorskip('gradio', reason='gradio is not installed (extra demo)')
    from smallobj_mm.app.page import Page

    return Page(models, tmp_path_factory.mktemp('page'))


@pytest.mark.parametrize('kind', ['seg', 'det'])
def test_frames_of_a_clip(models, clip, kind, monkeypatch):
    parts = []
    analyzed = analyze_file(models[kind], clip, kind, parts.append)
    assert isinstance(analyzed, Clip) and analyzed.total == 4 and analyzed.rate == 10
    counts = [len(find(frame, 0.5).targets.scores) for frame in analyzed.frames]
    assert counts == [0, 1, 2, 3] and parts[-1] == 1
    for number, expected in ((2, 2), (99, 3), (-1, 0), (None, 0), (float('nan'), 0)):
        assert len(find(at_frame(analyzed, number), 0.5).targets.scores) == expected
    monkeypatch.setattr('smallobj_mm.app.clips.MOST_FRAMES', 2)
    short = analyze_file(models[kind], clip, kind)
    assert len(short.frames) == 2 and short.total == 4


def test_no_clip_is_one_sentence(models, tmp_path):
    (tmp_path / 'bad.mp4').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='^bad.mp4: not readable as a video; choose an MP4'):
        analyze_file(models['seg'], str(tmp_path / 'bad.mp4'), 'seg')


def value(component):
    """What a component of gradio was given, whether it is one or its update."""
    return component['value'] if isinstance(component, dict) else component.value


def test_a_clip_on_the_page(page, clip):
    analyzed, other, *_, slider = page.look(clip, 'seg', 'no other')
    assert isinstance(analyzed, Clip) and other is None
    assert slider.maximum == 3 and slider.visible
    message, picture, second, *_ = page.show(analyzed, None, 0.5, None, 'Mask', 3)
    assert '<strong id="count">3</strong>' in message and '4 of 4 frames' in message
    button = page.pack(analyzed, 0.5, SimpleNamespace(session_hash='a'))
    (archive,) = page.folder.rglob('film_results.zip')
    with zipfile.ZipFile(archive) as content:
        names = {'marked.mp4', 'predictions.json', 'settings.json', 'targets.csv'}
        assert set(content.namelist()) == names
        rows = list(csv.DictReader(content.read('targets.csv').decode().splitlines()))
        assert [row['frame'] for row in rows] == ['1', '2', '2', '3', '3', '3']
        assert len({row['image'] for row in rows}) == 3
    assert '0.50' in button.value or button.interactive


def test_two_models_side_by_side(page, toys_path, tmp_path):
    import infer_toys

    path = tmp_path / 'frame.png'
    image = infer_toys.scene(64, 80, [(10, 20, 16, 26)])
    image[40:44, 40:44] = 105  # a segmentor is hardly sure of it
    cv2.imwrite(str(path), image)
    analyzed, other, *_ = page.look(str(path), 'seg', 'det')
    assert isinstance(analyzed, Analysis) and other.model == 'det'
    message, _, second, *_ = page.show(analyzed, other, 0.7, 0.1, 'Mask', None)
    assert '<strong id="count">1</strong>' in message
    assert '<strong id="count_2">2</strong>' in message and 'det' in message
    assert second.visible and second.label == 'det'
    assert not page.settings_beside('no other').visible
    assert page.settings_beside('det').visible


def test_operating_points(page, models):
    threshold, _, radio = page.settings('seg')
    assert threshold == 0.6 and radio.visible and radio.value == 'balanced'
    assert page.take_point('seg', 'few-false-alarms') == 0.9
    assert not page.settings('det')[2].visible
    for model, point in (('seg', 'own threshold'), ('det', 'balanced'), (None, None)):
        assert not isinstance(page.take_point(model, point), float)


def test_the_network_runs_once_for_each_file_and_model(page, clip, monkeypatch):
    """A model beside comes and goes; the first stays as it is, and so does the frame."""
    asked = []

    def analyze(inferencer, path, name, report):
        asked.append(name)
        return analyze_file(inferencer, path, name, report)

    monkeypatch.setattr('smallobj_mm.app.page.analyze_file', analyze)
    one, none, *_ = page.look(clip, 'seg', 'no other')
    same, two, *_, slider = page.look(clip, 'seg', 'det', one, none)
    assert asked == ['seg', 'det'] and same is one and slider.get('__type__') == 'update'
    assert 'value' not in slider, 'the frame that is shown stays'
    swapped, beside, *_, slider = page.look(clip, 'det', 'seg', one, two)
    assert asked == ['seg', 'det'] and swapped is two and beside is one
    assert page.look(clip, 'seg', 'seg', None, None)[1] is not None and asked[2:] == ['seg']


def test_another_file_is_another_analysis(page, clip, toys_path, tmp_path):
    import infer_toys

    path = tmp_path / 'frame.png'
    cv2.imwrite(str(path), infer_toys.scene(64, 80, [(10, 20, 16, 26)]))
    before = page.look(clip, 'seg')[0]
    analyzed = page.look(str(path), 'seg', None, before)[0]
    assert analyzed.name == 'frame.png' and analyzed.file == str(path)


def test_an_upload_that_is_removed_is_one_sentence(page, tmp_path):
    analyzed, *_, message = page.look(str(tmp_path / 'gone.png'), 'seg')[:3]
    assert analyzed is None
    assert 'gone.png: the file was removed after an hour; drop it again' in message


def test_analyses_live_as_long_as_the_session(page):
    """Their last use is no reason for gradio to keep them, so that none may be given a limit."""
    assert {page.analysis.time_to_live, page.other.time_to_live} == {float('inf')}


def test_an_archive_says_why_it_has_no_video(models, clip, tmp_path, monkeypatch):
    analyzed = analyze_file(models['det'], clip, 'det')
    closed = SimpleNamespace(write=lambda _: None, release=lambda: None, isOpened=lambda: False)
    monkeypatch.setattr('smallobj_mm.app.clips.mp4_writer', lambda *_: closed)
    write_clip_archive(tmp_path / 'a.zip', analyzed, 0.5)
    with zipfile.ZipFile(tmp_path / 'a.zip') as content:
        assert 'marked.mp4' not in content.namelist()
        assert 'OpenCV' in json.loads(content.read('settings.json'))['marked.mp4']
