# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest

pytest.importorskip('mmcv')

from smallobj_mm.utils.errors import errors_in_one_line
from smallobj_mm.utils.probability_maps import decode_probabilities, encode_probabilities


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis_tools/evaluate_maps')


@pytest.fixture
def folders(tmp_path):
    """Three images of different sizes; the second map is a pixel off, the third has nothing."""
    pred, truth = tmp_path / 'pred', tmp_path / 'gt'
    pred.mkdir()
    truth.mkdir()
    for index in range(3):
        mask = np.zeros((20 + index, 30), np.uint8)
        found = np.zeros_like(mask)
        if index < 2:
            mask[5:8, 6:9] = 255
            found[5 + index : 8 + index, 6:9] = 200
        cv2.imwrite(str(pred / f'im{index}.png'), found)
        cv2.imwrite(str(truth / f'im{index}_pixels0.png'), mask)
    return pred, truth


def call(tool, capsys, *arguments):
    """Exit status, stdout and stderr of the tool."""
    status = 0
    try:
        with errors_in_one_line():
            tool.main(list(map(str, arguments)))
    except SystemExit as stop:
        status = stop.code
    said = capsys.readouterr()
    return status, said.out, said.err


def test_figures_and_file(tool, folders, tmp_path, capsys):
    file = tmp_path / 'out' / 'metrics.json'
    status, out, _ = call(
        tool, capsys, *folders, '--threshold', 0.25, 0.5, 0.9, '--authors', '--json', file,
        '--per-image', tmp_path / 'images.csv', '--empty', 'zero',
    )  # fmt: skip
    assert status == 0
    assert '3 images, 2 targets, 1890 pixels' in out and "authors' script: iou" in out
    kept = json.loads(file.read_text())
    half = kept['0.5']
    assert half['IoU'] == pytest.approx(15 / 21) and half['nIoU'] == pytest.approx(1.5 / 3)
    assert half['Pd'] == 1 and half['Fa'] == 0 and half['F1'] == pytest.approx(15 / 18)
    assert kept['0.9']['Pd'] == 0 and kept['0.9']['precision'] == 0
    assert set(kept) == {'0.25', '0.5', '0.9', 'settings', 'curves', 'authors'}
    assert len((tmp_path / 'images.csv').read_text().splitlines()) == 10
    options = ['--empty', 'skip', '--matching', 'optimal']
    status, out, err = call(tool, capsys, *folders, *options)
    assert status == 0 and err == '' and f'{1.5 / 2:.4f}' in out and 'detects most' in out


def test_maps_and_masks_of_any_coding(tool, folders, tmp_path, capsys):
    """16 bits, arrays, color with alpha; masks 0/1: the same figures."""
    pred, truth = folders
    expected = call(tool, capsys, pred, truth)[1]
    other, masks = tmp_path / 'other' / 'deep', tmp_path / 'masks'
    other.mkdir(parents=True)
    masks.mkdir()
    for index in range(3):
        levels = cv2.imread(str(pred / f'im{index}.png'), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(truth / f'im{index}_pixels0.png'), cv2.IMREAD_UNCHANGED)
        if index == 0:
            cv2.imwrite(str(other / 'im0.png'), levels.astype(np.uint16) * 257)
        elif index == 1:
            np.save(other / 'im1.npy', decode_probabilities(levels)[None])
        else:
            cv2.imwrite(str(other / 'im2.png'), cv2.cvtColor(levels, cv2.COLOR_GRAY2BGRA))
        cv2.imwrite(str(masks / f'im{index}.png'), mask // 255)
    status, out, _ = call(tool, capsys, tmp_path / 'other', masks)
    assert status == 0 and out == expected


def test_a_list_selects(tool, folders, tmp_path, capsys):
    pred, truth = folders
    (pred / 'im2.png').unlink()
    status, out, err = call(tool, capsys, pred, truth)
    assert status == 2 and out == ''
    (line,) = err.splitlines()
    assert line.startswith('error: ') and 'im2_pixels0.png: no map im2 in' in line
    assert '--list FILE' in line
    (tmp_path / 'test.txt').write_text('im1\r\nim0.png\n\n')
    status, out, _ = call(tool, capsys, pred, truth, '--list', tmp_path / 'test.txt')
    assert status == 0 and '2 images' in out
    (tmp_path / 'test.txt').write_text('im1\nim2\nim7\n')
    status, _, err = call(tool, capsys, pred, truth, '--list', tmp_path / 'test.txt')
    assert status == 2 and len(err.splitlines()) == 2
    assert 'no map im2' in err and 'no mask im7' in err


def test_every_problem_has_its_line_and_nothing_is_written(tool, folders, tmp_path, capsys):
    pred, truth = folders
    cv2.imwrite(str(pred / 'extra.png'), np.zeros((4, 4), np.uint8))
    cv2.imwrite(str(pred / 'im1.png'), np.zeros((9, 30), np.uint8))
    (pred / 'im2.png').write_bytes((pred / 'im2.png').read_bytes()[:40])
    np.save(pred / 'im0.npy', np.zeros((20, 30)))
    file = tmp_path / 'metrics.json'
    status, out, err = call(tool, capsys, *folders, '--json', file)
    assert status == 2 and out == '' and not file.exists()
    lines = err.splitlines()
    assert len(lines) == 4 and all(line.startswith('error: ') for line in lines)
    for words in ('has the name of', 'no mask extra', 'im1.png: 30x9, but', 'im2.png: not read'):
        assert words in err


def test_values_that_are_no_probabilities(tool, folders, capsys):
    pred, truth = folders
    (pred / 'im0.png').unlink()
    for values, said in (
        (np.full((20, 30), -3.0), 'apply the sigmoid'),
        (np.full((20, 30), 3), 'type int64'),
        (np.zeros((2, 20, 30)), 'shape 2 x 20 x 30'),
    ):
        np.save(pred / 'im0.npy', values)
        status, _, err = call(tool, capsys, pred, truth)
        assert status == 2 and said in err and len(err.splitlines()) == 1
    np.save(pred / 'im0.npy', np.array([{}]))
    assert 'not readable as an array' in call(tool, capsys, pred, truth)[2]
    color = np.zeros((20, 30, 3), np.uint8)
    color[..., 1] = 9
    (pred / 'im0.npy').unlink()
    cv2.imwrite(str(pred / 'im0.png'), color)
    assert 'expected one channel' in call(tool, capsys, pred, truth)[2]


def test_maps_coded_0_and_1(tool, folders, capsys):
    pred, truth = folders
    for path in pred.iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED) // 200)
    status, _, err = call(tool, capsys, pred, truth)
    assert status == 0 and err.startswith('warning: ') and 'write 0/1 maps as 0/255' in err


def test_wrong_arguments(tool, folders, tmp_path, capsys):
    assert 'thresholds are [1.5]' in call(tool, capsys, *folders, '--threshold', 1.5)[2]
    assert 'no such folder' in call(tool, capsys, tmp_path / 'none', folders[1])[2]
    (tmp_path / 'empty').mkdir()
    assert 'no mask in it' in call(tool, capsys, folders[0], tmp_path / 'empty')[2]


def test_coding_of_probabilities():
    """Both codings stay on their side of the usual thresholds; 8-bit maps come back unchanged."""
    edges = np.array([0, 0.25, 0.5, 0.75, 1], np.float32)
    values = np.concatenate([edges, np.nextafter(edges, 2), np.nextafter(edges, -1)]).clip(0, 1)
    for bits in (8, 16):
        back = decode_probabilities(encode_probabilities(values, bits))
        for threshold in (0.25, 0.5, 0.75):
            assert ((back > threshold) == (values > threshold)).all()
        assert np.abs(back - values).max() <= 1.0 / (1 << bits)
    every = np.arange(256, dtype=np.uint8)
    assert (encode_probabilities(decode_probabilities(every)) == every).all()
    with pytest.raises(ValueError, match='bits is 12'):
        encode_probabilities(values, 12)
