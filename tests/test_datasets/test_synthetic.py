# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The synthetic set: what it draws, and how it gets onto the disk."""

import json
import multiprocessing
import time

import cv2
import numpy as np
import pytest

from smallobj_mm.datasets import SyntheticSmallObjectDataset, make_synthetic_dataset
from smallobj_mm.datasets.synthetic_files import STAMP
from smallobj_mm.datasets.synthetic_scene import OBJECT_SIZES, STYLES, render_scene

SMALL = dict(num_images=10, image_size=160, seed=3)


def content(folder):
    """Relative path -> bytes of everything in a folder."""
    files = (path for path in sorted(folder.rglob('*')) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize('style', sorted(STYLES))
def test_scenes(style):
    sizes, empty, labels = [], 0, set()
    for index in range(60):
        scene = render_scene(np.random.default_rng([0, index]), 160, style, OBJECT_SIZES[style], 8)
        assert scene.image.shape == (160, 160, 3) and scene.image.dtype == np.uint8
        assert set(np.unique(scene.mask)) <= {0, 255}
        assert (scene.boxes >= 0).all() and (scene.boxes <= 160).all()
        assert len(scene.boxes) == len(scene.labels) <= 8
        empty += not len(scene.boxes)
        labels |= set(scene.labels.tolist())
        sizes.extend((scene.boxes[:, 2:] - scene.boxes[:, :2]).max(axis=1))
        # each box encloses its part of the mask, and nothing of the mask lies outside the boxes
        rest = scene.mask.copy()
        for x1, y1, x2, y2 in scene.boxes:
            window = np.s_[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))]
            rows, columns = np.nonzero(scene.mask[window])
            assert np.ptp(rows) + 1 >= 0.55 * (y2 - y1) and np.ptp(columns) + 1 >= 0.55 * (x2 - x1)
            rest[window] = 0
        assert not rest.any()
    low, high = OBJECT_SIZES[style]
    assert low <= min(sizes) < 1.3 * low and 0.7 * high < max(sizes) <= high
    assert 0 < empty < 15 and labels == set(range(len(STYLES[style])))


def test_targets_differ_from_their_surroundings():
    for index in range(20):
        scene = render_scene(np.random.default_rng([1, index]), 160, 'infrared', (6, 14), 4)
        inside = scene.mask > 0
        if not inside.any():
            continue
        near = cv2.dilate(scene.mask, np.ones((7, 7))) > 0
        gray = scene.image[..., 0].astype(float)
        assert gray[inside].mean() > gray[near & ~inside].mean() + 15


def test_files_are_seeded_and_kept(tmp_path):
    first, second = tmp_path / 'a' / 'set', tmp_path / 'b' / 'set'
    assert make_synthetic_dataset(str(first), **SMALL)
    assert make_synthetic_dataset(str(second), **SMALL)
    assert content(first) == content(second)
    changed = (first / STAMP).stat().st_mtime_ns
    assert not make_synthetic_dataset(str(first), **SMALL)
    assert (first / STAMP).stat().st_mtime_ns == changed
    assert sorted(path.name for path in first.iterdir()) == [
        'Annotations',
        'ImageSets',
        'JPEGImages',
        'masks',
        STAMP,
    ]


def test_made_anew_when_the_parameters_differ(tmp_path):
    folder = tmp_path / 'set'
    make_synthetic_dataset(str(folder), **SMALL)
    before = content(folder)
    assert make_synthetic_dataset(str(folder), **dict(SMALL, seed=4))
    assert content(folder)['JPEGImages/000000.jpg'] != before['JPEGImages/000000.jpg']
    assert make_synthetic_dataset(str(folder), **dict(SMALL, num_images=12))
    after = content(folder)
    # more images leave the others as they are
    assert after['JPEGImages/000009.jpg'] == before['JPEGImages/000009.jpg']
    assert 'JPEGImages/000011.jpg' in after
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith('.tmp')] == []
    (folder / STAMP).write_text('{damaged')
    assert make_synthetic_dataset(str(folder), **SMALL)
    assert content(folder) == before


def test_foreign_files_are_left_alone(tmp_path):
    (tmp_path / 'mine.txt').write_text('x')
    with pytest.raises(ValueError, match='not a synthetic data set'):
        make_synthetic_dataset(str(tmp_path), **SMALL)
    assert (tmp_path / 'mine.txt').read_text() == 'x'


def test_failure_leaves_nothing_half_written(tmp_path, monkeypatch):
    folder = tmp_path / 'set'
    make_synthetic_dataset(str(folder), **SMALL)
    before = content(folder)
    calls = []

    def fail(*args):
        calls.append(args)
        if len(calls) > 3:
            raise OSError('disk full')
        return render_scene(*args)

    monkeypatch.setattr('smallobj_mm.datasets.synthetic_files.render_scene', fail)
    with pytest.raises(OSError, match='disk full'):
        make_synthetic_dataset(str(folder), **dict(SMALL, seed=9))
    assert content(folder) == before
    assert not [path for path in tmp_path.iterdir() if path.name.endswith('.tmp')]


def test_two_processes_at_once(tmp_path):
    context = multiprocessing.get_context('fork')
    folder = tmp_path / 'set'
    with context.Pool(2) as pool:
        jobs = [pool.apply_async(make_synthetic_dataset, (str(folder),), SMALL) for _ in range(4)]
        made = [job.get(60) for job in jobs]
    assert sum(made) == 1
    assert json.loads((folder / STAMP).read_text())['seed'] == 3
    assert len(list((folder / 'JPEGImages').iterdir())) == 10


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(style='x'), "style is 'x'"),
        (dict(num_images=1), 'num_images is 1'),
        (dict(val_fraction=1.0), 'val_fraction 1.0'),
        (dict(object_size=(1, 9)), r'object_size is \(1, 9\)'),
        (dict(image_size=100), r'object_size is \(6, 40\).*image_size=100'),
        (dict(max_objects=0), 'max_objects is 0'),
    ],
)
def test_parameters_out_of_range(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        make_synthetic_dataset(str(tmp_path / 'set'), **{**SMALL, **change})
    assert list(tmp_path.iterdir()) == []


def test_data_set_makes_its_files(tmp_path):
    root = str(tmp_path / 'new' / 'set')
    kwargs = dict(data_root=root, pipeline=[dict(type='LoadImageStrict')], **SMALL)
    train = SyntheticSmallObjectDataset('ImageSets/Main/train.txt', **kwargs)
    val = SyntheticSmallObjectDataset('ImageSets/Main/val.txt', **kwargs)
    assert (len(train), len(val)) == (8, 2)
    assert train.metainfo['classes'] == ('disk', 'square', 'triangle')
    assert train[0]['img'].shape == (160, 160, 3)
    assert sum(len(train.get_data_info(i)['instances']) for i in range(8)) > 8
    with pytest.raises(ValueError, match='data_root is empty'):
        SyntheticSmallObjectDataset('ImageSets/Main/train.txt', data_root='')


def test_infrared_has_one_class(tmp_path):
    dataset = SyntheticSmallObjectDataset(
        'ImageSets/Main/train.txt', data_root=str(tmp_path / 'set'), style='infrared', **SMALL
    )
    assert dataset.metainfo['classes'] == ('target',) and len(dataset.metainfo['palette']) == 1


def test_speed(tmp_path):
    start = time.process_time()
    make_synthetic_dataset(str(tmp_path / 'set'), num_images=30)
    assert time.process_time() - start < 6  # about 0.35 s on an idle core
