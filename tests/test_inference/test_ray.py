# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Many images on a local Ray with two workers."""

import json
import os
import signal
import threading
import time

import cv2
import numpy as np
import pytest

from smallobj_mm.inference import SmallObjectInferencer, ray_parts
from smallobj_mm.inference import ray as ours
from smallobj_mm.inference.ray_workers import PartWriter

pyarrow = pytest.importorskip('pyarrow', reason='pyarrow is not installed (extra ray)')

NUMBER, MANY = 23, 500


def write_images(toys, folder, number):
    """Images with 0 to 3 targets, and one that cannot be read."""
    for index in range(number):
        boxes = [(10 + 15 * i, 20 + index % 30, 16 + 15 * i, 26 + index % 30)
                 for i in range(index % 4)]  # fmt: skip
        cv2.imwrite(str(folder / f'{index:03}.png'), toys.scene(64, 80, boxes))
    (folder / '005.png').write_bytes(b'no image')
    return folder


@pytest.fixture(scope='module')
def images(toys, tmp_path_factory):
    return write_images(toys, tmp_path_factory.mktemp('images'), NUMBER)


@pytest.fixture
def settings(models):
    return ours.Settings(str(models / 'det.py'), str(models / 'det.pth'), device='cpu')


@pytest.fixture(scope='module')
def cluster():
    ray = pytest.importorskip('ray', reason='ray is not installed (extra ray)')
    pytest.importorskip('ray.data')
    with pytest.MonkeyPatch.context() as patch:
        from pathlib import Path

        # Workers import the toy models by name.
        paths = [str(Path(__file__).parent), os.environ.get('PYTHONPATH', '')]
        patch.setenv('PYTHONPATH', os.pathsep.join(filter(None, paths)))
        patch.setenv('RAY_worker_niceness', '0')  # on a busy machine workers never get a turn
        ray.init(num_cpus=2, include_dashboard=False, logging_level='ERROR')
        yield ray
        ray.shutdown()


def same_as_alone(folder, images, settings):
    """The rows of all parts are those of a single process."""
    table = ours.read_parts(folder).to_pydict()
    alone = SmallObjectInferencer(settings.config, settings.weights)(images, errors='keep')
    assert sorted(table['path']) == [result.source.path for result in alone]
    rows = {path: index for index, path in enumerate(table['path'])}
    for result in alone:
        row = rows[result.source.path]
        if result.error is not None:
            assert 'not readable as an image' in table['error'][row] and not table['scores'][row]
            continue
        assert (table['width'][row], table['height'][row], table['error'][row]) == (80, 64, '')
        for name, values in result.targets._asdict().items():
            np.testing.assert_array_equal(
                np.array(table[name][row], dtype=values.dtype).reshape(values.shape), values
            )


def test_equal_to_a_single_process_and_goes_on_by_part(cluster, toys, settings, tmp_path):
    (tmp_path / 'images').mkdir()
    images, out = write_images(toys, tmp_path / 'images', MANY), tmp_path / 'out'
    progress = list(ours.run_on_ray([images], out, settings, workers=2, part_size=60))
    assert progress[0] == (0, 0, MANY) and progress[-1] == (MANY, 1, MANY)
    assert len(progress) == 10
    same_as_alone(out, images, settings)
    coco = [one for file in sorted(out.glob('part-*.json')) for one in json.loads(file.read_text())]
    boxes = sum(len(scores) for scores in ours.read_parts(out).to_pydict()['scores'])
    assert len(coco) == boxes and {one['category_id'] for one in coco} == {1}
    kept = ray_parts.part_path(out, 0)
    written = kept.stat().st_mtime_ns
    ray_parts.part_path(out, 2).unlink()
    progress = list(ours.run_on_ray([images], out, settings, workers=2, part_size=60))
    assert progress == [(MANY - 60, 0, MANY), (MANY, 0, MANY)]
    assert kept.stat().st_mtime_ns == written
    same_as_alone(out, images, settings)
    with pytest.raises(ValueError, match='holds parts with other threshold'):
        changed = ours.Settings(settings.config, settings.weights, threshold=0.5)
        list(ours.run_on_ray([images], out, changed, part_size=60))
    with pytest.raises(ValueError, match='holds parts with other inputs'):
        list(ours.run_on_ray([images], out, settings, part_size=50))


def test_a_killed_worker_costs_nothing(cluster, images, settings, tmp_path, monkeypatch):
    """The part that it was at is done by another one."""
    out = tmp_path / 'out'
    killed = []

    def kill():
        deadline = time.monotonic() + 200
        while not killed and time.monotonic() < deadline:
            if list(out.glob('part-*.parquet')):
                for folder in os.listdir('/proc'):
                    if folder.isdigit() and 'PartWriter' in title(folder):
                        os.kill(int(folder), signal.SIGKILL)
                        killed.append(folder)
                        return
            time.sleep(0.02)

    def title(pid):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as file:
                return file.read().decode(errors='replace')
        except OSError:
            return ''

    if not os.path.isdir('/proc'):
        pytest.skip('no /proc to find the worker')
    thread = threading.Thread(target=kill)
    thread.start()
    progress = list(ours.run_on_ray([images], out, settings, workers=1, part_size=1))
    killed.append('end')
    thread.join()
    assert len(killed) == 2, 'a worker was killed'
    assert progress[-1] == (NUMBER, 1, NUMBER)
    same_as_alone(out, images, settings)


def test_parquet_of_bytes_and_of_paths(images, settings, models, tmp_path):
    """Without Ray: what a worker does with a part."""
    import pyarrow.parquet

    files = sorted(images.glob('*.png'))
    data = [file.read_bytes() for file in files]
    pyarrow.parquet.write_table(pyarrow.table(dict(image=data)), tmp_path / 'bytes.parquet')
    paths = pyarrow.table(dict(path=list(map(str, files))))
    pyarrow.parquet.write_table(paths, tmp_path / 'paths.parquet')
    parts = ray_parts.list_parts([tmp_path / 'bytes.parquet', str(tmp_path / 'p*.parquet')], 10)
    assert [ray_parts.number_of_images(part) for part in parts] == [10, 10, 3] * 2
    assert [part['number'] for part in parts] == list(range(6))
    writer = PartWriter(settings, str(tmp_path / 'out'))
    for part in parts:
        counts = writer(dict(part=np.array([json.dumps(part)])))
        assert counts['images'].tolist() == [ray_parts.number_of_images(part)]
    table = ours.read_parts(tmp_path / 'out').to_pydict()
    half = len(files)
    assert table['path'][0] == f'{tmp_path / "bytes.parquet"}#0'
    assert table['path'][half:] == list(map(str, files))
    for name in ('bboxes', 'scores', 'labels'):
        assert table[name][:half] == table[name][half:]
    assert [bool(error) for error in table['error']] == [i == 5 for i in range(half)] * 2


def test_records_and_columns_of_strings(images, tmp_path):
    """Without Ray: rows as data sets on the Hugging Face hub have them, and a column ``image``."""
    import pyarrow.parquet

    file = images / '000.png'
    records = [dict(bytes=file.read_bytes(), path='a.png'), dict(bytes=None, path=str(file))]
    for name, columns, expected in (
        ('hub', dict(image=records), (['a.png', str(file)], [file.read_bytes(), None])),
        ('text', dict(image=['a.png', 'b.png'], data=[1, 2]), (['a.png', 'b.png'], None)),
    ):
        path = tmp_path / f'{name}.parquet'
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
        (part,) = ray_parts.list_parts([path], 10)
        assert ray_parts.read_part(part) == expected


def test_inputs_that_do_not_fit(images, settings, tmp_path):
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(dict(x=[1])), tmp_path / 'x.parquet')
    with pytest.raises(ValueError, match=r'x.parquet: columns x \(int64\), expected one of path'):
        ray_parts.list_parts([tmp_path / 'x.parquet'], 5)
    (tmp_path / 'bad.parquet').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='bad.parquet: not readable as Parquet'):
        ray_parts.list_parts([tmp_path / 'bad.parquet'], 5)
    with pytest.raises(FileNotFoundError, match='gone.parquet: no such file'):
        ray_parts.list_parts([tmp_path / 'gone.parquet'], 5)
    (tmp_path / 'films').mkdir()
    (tmp_path / 'films/a.mp4').write_bytes(b'x')
    with pytest.raises(ValueError, match='a.mp4: a video; the Ray engine takes images alone'):
        ray_parts.list_parts([tmp_path / 'films'], 5)


def test_the_package_is_named(images, settings, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(ImportError, match=r'pip install "smallobj_mm\[ray\]"'):
        next(ours.run_on_ray([images], tmp_path / 'out', settings))
