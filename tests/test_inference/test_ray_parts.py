# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Parts of images, and what a second call compares: all that needs neither Ray nor pyarrow."""

import os
import shutil
import struct
import zlib

import cv2
import numpy as np
import pytest

from smallobj_mm.inference import ray as ours
from smallobj_mm.inference import ray_parts
from smallobj_mm.inference.ray_workers import _decode


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Images and tables, each of four rows, some of them in the folder of results."""
    for name in ('a.png', 'sub/b.png', 'rows.parquet', 'out/part-000000.parquet', 'only/x.parquet'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'x')
    monkeypatch.setattr(ray_parts, '_rows_of', lambda file: 4)
    return tmp_path


def contents(parts, tree):
    """The files of some parts, relative to the folder."""
    files = [part.get('file') for part in parts] + [
        p for part in parts for p in part.get('paths', [])
    ]
    return sorted(os.path.relpath(file, tree) for file in files if file)


def test_a_folder_of_images_and_tables(tree):
    parts = ray_parts.list_parts([tree], 10, tree / 'out')
    assert contents(parts, tree) == ['a.png', 'only/x.parquet', 'rows.parquet', 'sub/b.png']
    assert contents(ray_parts.list_parts([tree / 'only'], 10), tree) == ['only/x.parquet']


@pytest.mark.parametrize('given', ['.', '**/*.parquet'])
def test_results_are_no_inputs(tree, given):
    parts = ray_parts.list_parts([str(tree / given)], 10, tree / 'out')
    assert parts and not [file for file in contents(parts, tree) if file.startswith('out')]
    shutil.rmtree(tree / 'out')
    assert ray_parts.list_parts([str(tree / given)], 10, tree / 'out') == parts


@pytest.mark.parametrize(
    ('types', 'expected'),
    [
        (dict(image='string'), (None, 'image')),
        (dict(path='string', data='int64'), (None, 'path')),
        (dict(path='large_string', image='large_binary'), ('image', 'path')),
        (dict(image='struct<bytes: binary, path: string>', label='int64'), ('image', None)),
        (dict(path='null', bytes='binary'), ('bytes', None)),
        (dict(path='dictionary<values=string, indices=int32, ordered=0>'), (None, 'path')),
    ],
)
def test_columns_by_their_type(types, expected):
    assert ray_parts._columns('a.parquet', types) == expected


def test_columns_of_other_types():
    with pytest.raises(
        ValueError, match=r'a.parquet: columns image \(int64\), expected one of path'
    ):
        ray_parts._columns('a.parquet', dict(image='int64'))


def test_records_of_bytes_and_path():
    names, nothing = ['f#0', 'f#1', 'f#2'], [None] * 3
    records = [dict(bytes=b'1', path='a.png'), dict(bytes=None, path='b.png'), None]
    expected = ['a.png', 'b.png', 'f#2'], [b'1', None, None]
    assert ray_parts._unpack(names, nothing, records) == expected
    assert ray_parts._unpack(names, ['x', None, 'z'], records)[0] == ['x', 'b.png', 'z']
    assert ray_parts._unpack(names, ['x', None, 'z'], None) == (['x', 'f#1', 'z'], None)
    assert ray_parts._unpack(names, nothing, [b'1'] * 3) == (names, [b'1'] * 3)


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def test_any_damage_of_an_image_is_one_error():
    """Pillow raises SyntaxError where a PNG breaks between two parts of its pixels."""
    head = chunk(b'IHDR', struct.pack('>IIBBBBB', 64, 64, 8, 0, 0, 0, 0))
    pixels = zlib.compress(bytes(64 * 65))
    data = (
        b'\x89PNG\r\n\x1a\n' + head + chunk(b'IDAT', pixels[:10]) + b'\0\0\0\x09I\xffAT' + b'x' * 50
    )
    with pytest.raises(ValueError, match=r'^f#0: not readable as an image \(\d+ bytes'):
        _decode('f#0', data)


@pytest.fixture
def run(models, tmp_path):
    """What compares the settings of two calls, and a model whose files may be changed."""
    shutil.copytree(models, tmp_path / 'models')
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((64, 64, 3), np.uint8))
    config, weights = (str(tmp_path / 'models' / name) for name in ('det.py', 'det.pth'))

    def call(**options):
        parts = ray_parts.list_parts([tmp_path / 'a.png'], 10)
        ours._adopt(tmp_path / 'out', parts, ours.Settings(config, weights, **options))

    call.folder = tmp_path
    return call


def test_the_same_call_goes_on(run):
    options = dict(cfg_options={'+x': (1, 2)})
    run(**options)
    run(**options)
    run(device='cuda', **options)
    with pytest.raises(ValueError, match='holds parts with other threshold; go on'):
        run(threshold=0.5, **options)


@pytest.mark.parametrize(
    ('name', 'words'),
    [('models/det.pth', 'weights_hash'), ('models/det.py', 'config_hash'), ('a.png', 'inputs')],
)
def test_files_that_changed_between_two_calls(run, name, words):
    run()
    with open(run.folder / name, 'ab') as file:
        file.write(b'\nmore = 1\n')
    with pytest.raises(ValueError, match=f'holds parts with other {words}; go on'):
        run()
