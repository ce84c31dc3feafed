# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""tools/infer.py in this process, with models that find what is bright."""

import csv
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from smallobj_mm.inference.result_folder import ResultFolder
from smallobj_mm.utils.errors import errors_in_one_line

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')
BOXES = [(10, 12, 16, 18), (84, 50, 92, 58), (150, 60, 190, 90)]


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('infer')


@pytest.fixture
def task(toys, tmp_path):
    """Folder with models, and images/ with a.png, sub/b.png and the unreadable bad.png."""
    toys.write_models(tmp_path)
    (tmp_path / 'images' / 'sub').mkdir(parents=True)
    for name in ('a', 'sub/b'):
        cv2.imwrite(str(tmp_path / f'images/{name}.png'), toys.scene(150, 240, BOXES))
    (tmp_path / 'images' / 'bad.png').write_bytes(b'nothing')
    return tmp_path


@pytest.fixture
def infer(tool, task, capsys, monkeypatch):
    """Run the tool: exit status, stdout and stderr."""

    def call(kind, *arguments, images=task / 'images', out=task / 'out'):
        monkeypatch.setattr(sys, 'argv', [tool.__file__])
        model = ['--config', task / f'{kind}.py', '--weights', task / f'{kind}.pth']
        status = 0
        try:
            with errors_in_one_line():
                tool.main(list(map(str, [images, *model, '--out', out, *arguments])))
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def rows(task):
    with (task / 'out' / 'targets.csv').open() as file:
        return list(csv.DictReader(file))


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*.*'))


def test_progress_of_long_runs(tool, monkeypatch, capsys):
    """A file is told every 15 s; an image in tiles may be done in part."""
    now = [0.0]
    monkeypatch.setattr('tqdm.std.time', lambda: now[0])
    bar = tool.progress_bar(4)
    bar.update(0.5 - bar.n)
    assert capsys.readouterr().err == ''
    now[0] = 20.0
    bar.update(1 - bar.n)
    assert ' 25 % of 4 images ' in (said := capsys.readouterr().err) and '00:20, 01:00 left' in said
    bar.close()
    assert capsys.readouterr().err.endswith('\r')  # the line is empty again


def test_detection(task, infer):
    status, out, err = infer('det', '--tile', 100, '--batch-size', 4, '--pictures', '--enlarged')
    assert status == 1 and f'results of 2 images are in {task / "out"}' in out
    *_, count, line = err.rstrip().splitlines()
    assert count == '1 files could not be read:'
    assert line.startswith(f'  {task / "images" / "bad.png"}: not readable as an image')
    assert files(task / 'out') == [
        'enlarged/a.png', 'enlarged/sub/b.png', 'images.json', 'pictures/a.png',
        'pictures/sub/b.png', 'predictions.json', 'records/a.json', 'records/sub/b.json',
        'settings.json', 'targets.csv',
    ]  # fmt: skip
    content = json.loads((task / 'out' / 'images.json').read_text())
    assert [Path(image['file_name']).name for image in content['images']] == ['a.png', 'b.png']
    results = json.loads((task / 'out' / 'predictions.json').read_text())
    second = content['images'][1]['id']
    found = sorted(tuple(a['bbox']) for a in results if a['image_id'] == second)
    assert found == [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in BOXES]
    assert len(rows(task)) == 6 and {row['class'] for row in rows(task)} == {'light'}
    picture = cv2.imread(str(task / 'out/pictures/a.png'))
    zoom = round(512 / 240)  # the longer side
    assert picture.shape[1] == 240 * zoom
    (x1, y1, x2, y2) = (zoom * value for value in BOXES[1])
    assert (picture[y1:y2, x1:x2] == 200).all(), 'the object itself stays visible'
    assert np.ptp(picture[y1 - 1, x1:x2].astype(int)) > 100, 'the frame is beside it'


def test_segmentation(task, infer):
    status, _, err = infer('seg', '--tile', 100, '--probabilities', 8, '--threshold', 0.6)
    assert status == 1, err
    image = cv2.imread(str(task / 'images/a.png'))[..., 0]
    for name in ('a', 'sub/b'):
        mask, levels = (
            cv2.imread(str(task / f'out/{kind}/{name}.png'), cv2.IMREAD_UNCHANGED)
            for kind in ('masks', 'probabilities')
        )
        np.testing.assert_array_equal(mask, 255 * (image > 150).astype(np.uint8))
        assert ((levels > 127) == (mask > 0)).all()
    assert [row['class'] for row in rows(task)] == ['target'] * 6
    boxes = {tuple(int(float(row[key])) for key in ('x1', 'y1', 'x2', 'y2')) for row in rows(task)}
    assert boxes == set(BOXES)
    content = json.loads((task / 'out' / 'images.json').read_text())
    assert content['categories'] == [dict(id=1, name='target')]


def test_ids_of_a_coco_file(task, infer):
    content = dict(
        images=[dict(id=40, file_name='a.png')], annotations=[],
        categories=[dict(id=5, name='light'), dict(id=6, name='lamp')],
    )  # fmt: skip
    (task / 'truth.json').write_text(json.dumps(content))
    status, out, err = infer('det', '--coco-json', task / 'truth.json')
    assert status == 1 and 'truth.json: has 1 of 2 images; the others are not in' in out, err
    results = json.loads((task / 'out' / 'predictions.json').read_text())
    assert {(r['image_id'], r['category_id']) for r in results} == {(40, 5)} and len(results) == 3
    status, _, err = infer('seg', '--coco-json', task / 'truth.json', out=task / 'seg_out')
    assert status == 2 and 'no category for target of the model' in err
    assert not (task / 'seg_out').exists()


def test_a_stopped_run_goes_on(task, infer, monkeypatch, toys):
    """Images that are finished are not read again; the result is that of a run in one go."""
    infer('det', out=task / 'whole')
    add, added = ResultFolder.add, []

    def stop_after_one(self, inference):
        if added:
            raise KeyboardInterrupt
        add(self, inference)
        added.append(inference.source.name)

    with monkeypatch.context() as patch:
        patch.setattr(ResultFolder, 'add', stop_after_one)
        status, _, err = infer('det')
        assert status == 130 and 'stopped; the same command goes on' in err
    assert files(task / 'out') == ['records/a.json', 'settings.json']
    record = task / 'out' / 'records' / 'a.json'
    written = record.stat().st_mtime_ns
    status, out, _ = infer('det', '--batch-size', 2)
    assert status == 1 and '1 of 3 images are in' in out
    assert record.stat().st_mtime_ns == written
    for name in ('predictions.json', 'targets.csv'):
        assert (task / 'out' / name).read_text() == (task / 'whole' / name).read_text()
    # A changed image is inferred anew, a new one is added.
    cv2.imwrite(str(task / 'images/a.png'), toys.scene(150, 240, BOXES[:1], bright=210))
    cv2.imwrite(str(task / 'images/bad.png'), toys.scene(150, 240, []))
    status, out, _ = infer('det')
    assert status == 0 and '1 of 3 images are in' in out
    assert len(rows(task)) == 4


def test_another_run_into_the_same_folder_is_refused(task, infer):
    infer('det')
    for arguments, words in (
        (['--tile', 320], 'tile=640 (now 320)'),
        (['--threshold', 0.5], 'threshold=0.3 (now 0.5)'),
        (['--pictures'], "pictures=None (now 'single')"),
    ):
        status, out, err = infer('det', *arguments)
        assert status == 2 and words in err and len(err.splitlines()) == 1
    torch.save(dict(state_dict=dict(level=torch.tensor(50.0))), task / 'det.pth')
    status, _, err = infer('det')
    assert status == 2 and 'weights_hash=' in err and 'another folder' in err
    (task / 'other').mkdir()
    cv2.imwrite(str(task / 'other/a.png'), np.zeros((9, 9), np.uint8))
    infer('seg', images=task / 'images/a.png', out=task / 'third')
    status, _, err = infer('seg', images=task / 'other', out=task / 'third')
    assert status == 2 and 'belongs to' in err and len(err.splitlines()) == 1


def test_results_among_the_images_are_no_images(task, infer):
    out = task / 'images' / 'out'
    for _ in range(2):
        status, said, _ = infer('seg', '--pictures', out=out)
        assert status == 1 and 'results of 2 images' in said
    status, _, err = infer('seg', images=out, out=out)
    assert status == 2 and 'all inputs lie in it' in err


def test_video(task, infer, toys):
    path = task / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5, (240, 152))
    if not writer.isOpened():
        pytest.skip('OpenCV cannot write a video here')
    for number in (1, 3):
        writer.write(toys.scene(152, 240, BOXES[:number]))
    writer.release()
    for again in (False, True):
        status, said, err = infer('seg', images=path)
        assert status == 0 and ('2 of 2 images are in' in said) == again, err
    assert files(task / 'out' / 'masks') == ['clip/frame_000000.png', 'clip/frame_000001.png']
    assert [row['frame'] for row in rows(task)] == ['0', '1', '1', '1']
    names = [f'{path}/frame_000000', *[f'{path}/frame_000001'] * 3]
    assert [row['image'] for row in rows(task)] == names
    results = json.loads((task / 'out' / 'predictions.json').read_text())
    assert [one['image_id'] for one in results] == names


def test_errors_of_one_line(task, infer):
    for arguments, words in (
        (['--probabilities', 8], 'det is a detector'),
        (['--tile', -1], 'tile is -1'),
        (['--overlap', 2], 'overlap is 2'),
        (['--batch-size', 0], 'batch_size is 0'),
        (['--threshold', 7], 'threshold is 7'),
        (['--device', 'nowhere'], 'device'),
    ):
        status, _, err = infer('det', *arguments)
        assert status == 2 and words in err, (arguments, err)
        assert len(err.splitlines()) == 1 and not (task / 'out').exists()
    status, _, err = infer('det', images=task / 'gone')
    assert status == 2 and 'gone: no such file or folder' in err


def test_show_needs_a_display(infer, monkeypatch):
    monkeypatch.delenv('DISPLAY', raising=False)
    monkeypatch.setattr(sys, 'platform', 'linux')
    status, _, err = infer('det', '--show')
    assert status == 2 and '--pictures' in err


def test_no_name_ends_the_run(task, infer, toys):
    image = cv2.imencode('.png', toys.scene(150, 240, BOXES))[1].tobytes()
    folder = os.fsencode(task / 'odd')
    odd = [b'n' * 235 + b'.png', b'x/a.jpg', b'x/a.png/b.png', b'x/a.json/b.png', b'caf\xe9.png']
    for name in odd:
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), 'wb') as file:
            file.write(image)
    status, out, err = infer('seg', '--pictures', images=task / 'odd')
    assert status == 0 and 'results of 5 images' in out and not err.strip()
    content = json.loads((task / 'out' / 'images.json').read_text())
    assert len(content['images']) == 5
    (task / 'out' / 'predictions.json').read_text().encode('ascii')
    assert len(rows(task)) == 5 * 3
    status, out, _ = infer('seg', '--pictures', images=task / 'odd')
    assert status == 0 and '5 of 5 images are in' in out


def test_options_of_the_config(task, infer):
    """Settings that override the config's are part of what results depend on."""
    options = ['--cfg-options', 'model.decode_head.threshold=0.9']
    status, _, err = infer('seg', *options, images=task / 'images/a.png')
    assert status == 0, err
    settings = json.loads((task / 'out' / 'settings.json').read_text())
    assert settings['threshold'] == 0.9


def test_operating_points_of_the_weights(task, infer, toys):
    from safetensors.torch import save_file

    status, _, err = infer('seg', '--operating-point', 'balanced', out=task / 'none')
    assert status == 2 and 'seg.pth has none; give --threshold' in err
    status, _, err = infer('seg', '--operating-point', 'balanced', '--threshold', 0.5)
    assert status == 2 and 'give one of them' in err
    header = {'operating_points': json.dumps({'few-false-alarms': 0.8})}
    save_file(toys.SEGMENTOR, task / 'seg.safetensors', header)
    more = ['--weights', task / 'seg.safetensors', '--operating-point']
    status, _, err = infer('seg', *more, 'find-everything')
    assert status == 2 and 'seg.safetensors has few-false-alarms' in err
    infer('seg', *more, 'few-false-alarms')
    assert json.loads((task / 'out' / 'settings.json').read_text())['threshold'] == 0.8


def test_the_default_model(tool, task):
    with pytest.raises(SystemExit), errors_in_one_line():
        tool.main([str(task / 'images'), '--out', str(task / 'out'), '--device', 'cpu'])
    assert json.loads((task / 'out' / 'settings.json').read_text())['config'] == tool.DEFAULT


def test_a_config_beside_the_checkpoint_is_named(task, infer):
    """Weights that were trained with options fit the config in the work-dir alone."""
    (task / 'work').mkdir()
    state = dict(level=torch.zeros(2))
    torch.save(dict(state_dict=state), task / 'work' / 'epoch_1.pth')
    status, _, err = infer('det', '--weights', task / 'work/epoch_1.pth')
    assert status == 2 and 'lies beside it' not in err
    (task / 'work' / 'mine.py').write_text('')
    status, _, err = infer('det', '--weights', task / 'work/epoch_1.pth')
    assert status == 2 and len(err.splitlines()) == 1
    assert f'options included, lies beside it: {task / "work" / "mine.py"}' in err


def test_addresses(task, infer, monkeypatch):
    import functools
    import http.server
    import threading

    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(task / 'images')
    )
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f'http://127.0.0.1:{server.server_address[1]}/sub/b.png'
        status, _, err = infer('det', images=url)
        server.shutdown()
        thread.join()
    assert status == 0, err
    assert [row['image'] for row in rows(task)] == [url] * 3
    status, out, _ = infer('det', images=url)
    assert status == 0 and '1 of 1 images are in' in out, 'the file is there, no server is asked'


def test_marked_video(task, infer, toys):
    path = task / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 5, (240, 152))
    if not writer.isOpened():
        pytest.skip('OpenCV cannot write a video here')
    for _ in range(3):
        writer.write(toys.scene(152, 240, BOXES))
    writer.release()
    status, _, err = infer('det', '--video', images=path)
    assert status == 0 and (task / 'out/videos/clip.mp4').stat().st_size > 1000, err
    status, out, _ = infer('det', '--video', images=path)
    assert status == 0 and '3 of 3 images are in' in out
