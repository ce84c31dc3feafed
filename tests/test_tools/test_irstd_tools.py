# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Probability maps and pictures of tools/test.py, and the tools that read and draw them."""

import importlib
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from smallobj_mm.utils.errors import errors_in_one_line

pytest.importorskip('mmseg')
HERE = Path(__file__).resolve().parent


def call(tool, capsys, *arguments):
    """Exit status, stdout and stderr of a tool."""
    status = 0
    try:
        with pytest.MonkeyPatch.context() as patch, errors_in_one_line():
            patch.setattr(sys, 'argv', [tool.__file__])
            tool.main(list(map(str, arguments)))
    except SystemExit as stop:
        status = stop.code
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.fixture(scope='module')
def task(tmp_path_factory):
    """Images with bright squares, some of them no targets; config and checkpoint."""
    root = tmp_path_factory.mktemp('task')
    rng = np.random.default_rng(0)
    for folder in ('images', 'masks'):
        (root / folder).mkdir()
    for index, shape in enumerate([(50, 70), (61, 45), (64, 96)]):
        image = rng.integers(60, 100, shape).astype(np.uint8)
        mask = np.zeros(shape, np.uint8)
        for number, (y, x) in enumerate([(8, 10), (30, 30), (40, 8)]):
            side = 3 + number
            image[y : y + side, x : x + side] = 140 + 20 * number
            mask[y : y + side, x : x + side] = number < 2
        cv2.imwrite(str(root / 'images' / f'im{index}.png'), image)
        cv2.imwrite(str(root / 'masks' / f'im{index}.png'), mask)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        toy = importlib.import_module('irstd_toy')  # stays where custom_imports looks
    for three, name in ((True, 'three'), (False, 'one')):
        Config(toy.config(str(root), three)).dump(str(root / f'{name}.py'))
    state = {
        'backbone.conv.weight': torch.full((1, 3, 1, 1), 1 / 3),
        'backbone.conv.bias': torch.zeros(1),
        'decode_head.conv_seg.weight': torch.ones(1, 1, 1, 1),
        'decode_head.conv_seg.bias': torch.full((1,), -3.0),
    }
    torch.save(dict(state_dict=state), root / 'toy.pth')
    return root


@pytest.fixture(scope='module')
def tested(task, repo_root):
    """The output folder of tools/test.py."""
    out = task / 'out'
    command = [
        sys.executable, repo_root / 'tools/test.py', task / 'three.py', task / 'toy.pth',
        '--work-dir', out, '--prob-dir', out / 'maps', '--show-dir', 'pictures', '--cfg-options',
        f'test_evaluator.json_file={out / "metrics.json"}',
    ]  # fmt: skip
    path = os.pathsep.join([str(HERE), str(repo_root)])
    env = dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS='1')
    done = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'Fa x1e-6' in done.stdout + done.stderr
    return out


def test_maps_give_the_figures_of_the_test(tested, task, load_tool, capsys):
    maps = sorted((tested / 'maps').iterdir())
    assert [path.name for path in maps] == ['im0.png', 'im1.png', 'im2.png']
    for path in maps:
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        image = cv2.imread(str(task / 'images' / path.name))
        assert values.dtype == np.uint8 and values.shape == image.shape[:2]
    tool = load_tool('analysis_tools/evaluate_maps')
    file = tested / 'again.json'
    status, _, err = call(
        tool, capsys, tested / 'maps', task / 'masks', '--threshold', 0.25, 0.5, '--json', file,
        '--authors',
    )  # fmt: skip
    assert status == 0, err
    ours, again = (json.loads((tested / name).read_text()) for name in ('metrics.json', file))
    assert ours['0.5']['detected'] == 6 and ours['0.5']['false_components'] == 3
    for key in ('0.25', '0.5', 'authors', 'settings'):
        assert again[key] == ours[key]


def test_pictures_of_the_test(tested):
    found = sorted(tested.glob('*/pictures/*.png'))
    assert [path.name for path in found] == ['im0.png', 'im1.png', 'im2.png']
    picture = cv2.imread(str(found[0]))
    zoom = round(512 / 50)
    assert picture.shape[1] == 2 * 70 * zoom + 2 and picture.shape[0] > 50 * zoom
    original = cv2.imread(str(tested.parent / 'images' / 'im0.png'))
    # A pixel in the middle of a target and one far away: drawn beside, not over.
    for row, column in ((9, 11), (1, 60)):
        half = zoom // 2
        assert (picture[row * zoom + half, column * zoom + half] == original[row, column]).all()


def test_probability_maps_are_those_of_segmentation(repo_root, monkeypatch, capsys):
    arguments = [str(HERE / 'toy_config.py'), 'x.pth', '--prob-dir', 'maps']
    monkeypatch.setattr(sys, 'argv', [str(repo_root / 'tools' / 'test.py'), *arguments])
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.syspath_prepend(HERE)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(sys.argv[0], run_name='__main__')
    assert stop.value.code == 2
    last = capsys.readouterr().err.rstrip().splitlines()[-1]
    assert last.startswith('error: --prob-dir maps: the config is one of mmdet')


@pytest.mark.parametrize(('config', 'panels'), [('three', 5), ('one', 3)])
def test_visualize_a_model(task, load_tool, tmp_path, monkeypatch, capsys, config, panels):
    tool = load_tool('analysis_tools/visualize_irstd')
    drawn = []
    monkeypatch.setattr(
        tool, 'draw_figure', lambda *a, **k: drawn.append(k) or tool.draw_surfaces([])
    )
    monkeypatch.setattr(tool, 'figure_png', lambda figure: b'png')
    options = ['--out', tmp_path, '--limit', 2, '--device', 'cpu', '--surface']
    status, out, err = call(tool, capsys, task / f'{config}.py', task / 'toy.pth', *options)
    assert status == 0 and 'pictures of 2 images' in out, err
    names = ['im0.png', 'im0_surface.png', 'im1.png', 'im1_surface.png']
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    maps = [value for value in drawn[0].values() if isinstance(value, np.ndarray)]
    assert len(maps) + 1 == panels and {one.shape for one in maps} == {(50, 70)}
    if config == 'three':  # interior logit = mask logit + 1
        logit = np.log(drawn[0]['interior'] / (1 - drawn[0]['interior']))
        inside = (drawn[0]['probability'] > 0.01) & (drawn[0]['probability'] < 0.99)
        mask = np.log(drawn[0]['probability'] / (1 - drawn[0]['probability']))
        np.testing.assert_allclose(logit[inside], mask[inside] + 1, atol=1e-3)


def test_visualize_folders_and_errors(tested, task, load_tool, tmp_path, capsys):
    tool = load_tool('analysis_tools/visualize_irstd')
    folders = [
        '--pred-dir', tested / 'maps', '--gt-dir', task / 'masks', '--img-dir', task / 'images',
    ]  # fmt: skip
    status, _, err = call(tool, capsys, *folders, '--out', tmp_path, '--limit', 1)
    assert status == 0, err
    picture = cv2.imread(str(tmp_path / 'im0.png'))
    assert picture.shape[1] == 1560  # three panels of 2.6 inches with 200 points
    assert call(tool, capsys, *folders[:4], '--out', tmp_path)[0] == 2
    (tmp_path / 'few').mkdir()
    other = [*folders[:5], tmp_path / 'few']
    status, _, err = call(tool, capsys, *other, '--out', tmp_path / 'none')
    assert status == 2 and 'no image im0 in' in err and not (tmp_path / 'none').exists()
    status, _, err = call(tool, capsys, HERE / 'toy_config.py', task / 'toy.pth', '--out', tmp_path)
    assert status == 2 and 'expected a config of mmseg' in err


def test_plot_curves(tested, load_tool, tmp_path, capsys):
    tool = load_tool('analysis_tools/plot_irstd_curves')
    file, out = tested / 'metrics.json', tmp_path / 'fig' / 'curves.png'
    status, said, err = call(tool, capsys, file, file, '--labels', 'A', 'B', '--out', out)
    assert status == 0 and 'curves of A, B' in said, err
    assert cv2.imread(str(out)).shape[1] == 2340
    for arguments, words in (
        ([tmp_path / 'no.json', '--out', out], 'no such file'),
        ([file, '--labels', 'A', 'B', '--out', out], '2 for 1 files'),
        ([file, '--out', 'x.pdf'], 'ends in .png'),
        ([tested / 'maps' / 'im0.png', '--out', out], 'not readable as JSON'),
    ):
        status, _, err = call(tool, capsys, *arguments)
        assert status == 2 and words in err and len(err.splitlines()) == 1
    (tmp_path / 'plain.json').write_text('{"0.5": {}}')
    assert 'has no curves' in call(tool, capsys, tmp_path / 'plain.json', '--out', out)[2]
