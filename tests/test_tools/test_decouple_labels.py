# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The command that writes interior and boundary maps."""

import cv2
import numpy as np
import pytest

PARTS = ('interior', 'boundary')


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('dataset_converters/decouple_labels')


@pytest.fixture
def src(tmp_path):
    """Five masks coded 0/1, one of them in a subfolder."""
    for number, name in enumerate(('a', 'b_pixels0', 'c', 'd', 'sub/e')):
        mask = np.zeros((30, 40), np.uint8)
        mask[5 : 9 + number, 6:13] = mask[20:23, 30:33] = 1
        path = tmp_path / 'masks' / f'{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), mask)
    return tmp_path / 'masks'


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_authors_files_are_the_golden_ones(tool, golden_dir, tmp_path, capsys):
    golden = np.load(golden_dir / 'label_decoupling.npz')
    names = [key.split('/')[0] for key in golden if key.endswith('/mask')]
    (tmp_path / 'masks').mkdir()
    for name in names:
        cv2.imwrite(str(tmp_path / 'masks' / f'{name}.png'), golden[f'{name}/mask'])
    assert tool.main([str(tmp_path / 'masks'), str(tmp_path / 'out'), '--mode', 'authors']) == 0
    for name in names:
        for part in PARTS:
            written = read(tmp_path / 'out' / part / f'{name}.png')
            assert written.dtype == np.uint8
            assert np.array_equal(written, golden[f'{name}/{part}']), name
    shown = capsys.readouterr().out
    assert 'ETA' in shown and 'maps of 20 masks written, 0 were there before' in shown


def test_exact_files_add_up(tool, src, tmp_path):
    assert tool.main([str(src), str(tmp_path / 'out'), '--mode', 'exact']) == 0
    for name in ('a', 'sub/e'):
        interior, boundary = (read(tmp_path / 'out' / p / f'{name}.png') for p in PARTS)
        assert np.array_equal(interior + boundary, read(src / f'{name}.png') * 255)
        assert interior.max() == 255


def test_taken_up_where_it_ended(tool, src, tmp_path, capsys, monkeypatch):
    out = tmp_path / 'out'
    real, calls = tool.convert, []

    def stop_at_the_third(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr(tool, 'convert', stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        tool.main([str(src), str(out)])
    monkeypatch.setattr(tool, 'convert', real)
    first = {path: path.stat().st_mtime_ns for path in out.rglob('*.png')}
    assert len(first) == 4
    (out / 'boundary' / 'a.png').unlink()  # stopped between the two maps
    capsys.readouterr()
    assert tool.main([str(src), str(out)]) == 0
    assert 'maps of 4 masks written, 1 were there before' in capsys.readouterr().out
    kept = out / 'interior' / 'b_pixels0.png'
    assert kept.stat().st_mtime_ns == first[kept]
    assert tool.main([str(src), str(out)]) == 0
    assert 'maps of 0 masks written, 5' in capsys.readouterr().out
    assert not [path for path in out.rglob('*') if path.name.endswith('.tmp')]


def test_bad_files_are_named_and_the_rest_is_done(tool, src, tmp_path, capsys):
    (src / 'b_pixels0.png').write_bytes((src / 'a.png').read_bytes()[:-15])
    (src / 'c.png').write_text('hello')
    assert tool.main([str(src), str(tmp_path / 'out')]) == 1
    out, err = capsys.readouterr()
    assert 'maps of 3 masks written' in out
    lines = err.strip().splitlines()
    assert len(lines) == 2 and all(line.startswith('error: ') for line in lines)
    assert 'b_pixels0.png: truncated' in lines[0] and 'c.png: not readable' in lines[1]
    assert len(list((tmp_path / 'out').rglob('*.png'))) == 6


def test_errors(tool, src, tmp_path):
    out = tmp_path / 'out'
    with pytest.raises(FileNotFoundError, match='no such folder'):
        tool.main([str(tmp_path / 'x'), str(out)])
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='no image in this folder'):
        tool.main([str(tmp_path / 'empty'), str(out)])
    with pytest.raises(ValueError, match='lies in'):
        tool.main([str(src), str(src / 'maps')])
    with pytest.raises(ValueError, match='not made here'):
        tool.main([str(src), str(tmp_path)])
    assert not out.exists()
    assert tool.main([str(src), str(out), '--mode', 'exact']) == 0
    with pytest.raises(ValueError, match="'exact'.*'authors'"):
        tool.main([str(src), str(out), '--mode', 'authors'])
    cv2.imwrite(str(src / 'a.bmp'), np.zeros((3, 3), np.uint8))
    with pytest.raises(ValueError, match='a.png: has the name of .*a.bmp'):
        tool.main([str(src), str(out), '--mode', 'exact'])
