# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""tools/analysis_tools/dataset_doctor.py with a model that finds what is bright."""

import json

import cv2
import pytest

from smallobj_mm.utils.errors import errors_in_one_line

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')
BOXES = [(10, 12, 16, 18), (84, 50, 92, 58), (150, 60, 190, 90)]


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('analysis_tools/dataset_doctor')


@pytest.fixture
def data(toys, tmp_path):
    """A COCO set of equal images for training and validation, and models beside it."""
    toys.write_models(tmp_path)
    scene = toys.scene(150, 240, BOXES)
    boxes = [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in BOXES]
    for split in ('train', 'val'):
        (tmp_path / split).mkdir()
        for number in range(2):
            cv2.imwrite(str(tmp_path / split / f'{number}.png'), scene)
        content = dict(
            images=[dict(id=n, file_name=f'{n}.png', width=240, height=150) for n in range(2)],
            annotations=[
                dict(id=n, image_id=n % 2, category_id=1, bbox=box)
                for n, box in enumerate([box for box in boxes for _ in range(2)])
            ],
            categories=[dict(id=1, name='Light'), dict(id=2, name='other')],
        )
        (tmp_path / f'{split}.json').write_text(json.dumps(content))
    return tmp_path


def test_page(tool, data, capsys):
    tool.main([str(data), '--out', str(data / 'page.html')])
    said = capsys.readouterr().out
    assert 'train: 2 images, mostly 240x150 px; 6 objects' in said
    assert 'ALARM: 2 of 2 validation images (100.0%)' in said and 'strides = [' in said
    page = (data / 'page.html').read_text()
    assert page.count('<h2>') == 8 and 'data:image/png;base64,iVBOR' in page
    assert '<pre class="alarm">' in page and 'Should I tile?' not in page


def test_labels_alone(tool, data, capsys):
    for path in data.rglob('*.png'):
        path.unlink()
    tool.main([str(data), '--labels-only', '--out', str(data / 'page.html')])
    said = capsys.readouterr().out
    assert '6 objects' in said and 'ALARM' not in said


def test_should_i_tile(tool, data, capsys):
    arguments = ['--config', data / 'det.py', '--checkpoint', data / 'det.pth', '--tile', '100']
    tool.main(list(map(str, [data, *arguments, '--out', data / 'page.html', '--images', '5'])))
    said = capsys.readouterr().out
    assert 'Should I tile? Measured on 2 images of val' in said
    rows = {line[:32].strip(): line[32:].split() for line in said.splitlines() if len(line) > 60}
    names = ['whole image', 'whole image x1.5', 'whole image x2', 'tiles of 100 px, overlap 0.2']
    assert set(names) <= set(rows)
    # Nothing is there to be gained: a blob is found whole, or its box is the wrong size.
    assert float(rows['whole image'][1]) == 1.0
    assert all(float(rows[name][3]) > 0 for name in names)
    assert 'keep whole images' in said


def test_lines_when_larger_images_gain(tool):
    measured = [tool.Measured('whole image', 0.3, 0.5, 0.1, 0.02),
                tool.Measured('whole image x2', 0.36, 0.6, 0.2, 0.07)]  # fmt: skip
    assert tool.measured_lines(measured)[-1] == 'whole image x2: +0.060 AP for 3.5 times the time.'


def test_errors(tool, data, capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stop, errors_in_one_line():
            tool.main(list(map(str, arguments)))
        return stop.value.code, capsys.readouterr().err

    assert call(data / 'gone')[0] == 2
    code, said = call(data, '--checkpoint', 'x.pth')
    assert code == 2 and 'needs --config' in said
    code, said = call(data, '--config', data / 'seg.py', '--checkpoint', data / 'seg.pth')
    assert code == 2 and 'a segmentor, expected a detector' in said
    (data / 'val.json').write_text((data / 'val.json').read_text().replace('Light', 'Tree'))
    (data / 'train.json').write_text((data / 'train.json').read_text().replace('Light', 'Tree'))
    code, said = call(data, '--config', data / 'det.py', '--checkpoint', data / 'det.pth')
    assert code == 2 and "none of those of the data, ('Tree', 'other')" in said
