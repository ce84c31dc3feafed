# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import os

import cv2
import numpy as np
import pytest

from smallobj_mm.inference.sources import Video, list_sources


@pytest.fixture
def tree(tmp_path):
    for name in ('b.png', 'a.jpg', 'sub/a.png', 'sub/notes.txt'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'x')
    return tmp_path


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / 'clip.avi', 4)


def write_video(path, number):
    """A clip of some gray frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5, (48, 32))
    if not writer.isOpened():
        pytest.skip('OpenCV cannot write a video here')
    for index in range(number):
        writer.write(np.full((32, 48, 3), 60 * index, np.uint8))
    writer.release()
    return path


def names(inputs):
    return [source.name for source in list_sources(inputs)]


def test_files_folders_patterns(tree):
    assert names(tree) == ['a', 'b', 'sub/a']
    assert names(tree / 'b.png') == ['b']
    assert names(str(tree / '*.png')) == ['b']
    assert names(str(tree / '**' / 'a.*')) == ['a', 'sub/a']
    assert names([tree / 'b.png', tree]) == ['b', 'a', 'sub/a'], 'each once'
    assert names([tree, np.zeros((2, 2), np.uint8)])[-1] == 'array_000001'


def test_names_stay_apart(tree):
    (tree / 'a.png').write_bytes(b'x')
    assert names(tree) == ['a.jpg', 'a.png', 'b', 'sub/a']
    with pytest.raises(ValueError, match='has the name of'):
        list_sources([tree / 'a.png', tree / 'sub' / 'a.png'])


def test_images_of_one_name_in_two_folders_can_be_taken(tree):
    (tree / 'a.png').write_bytes(b'x')
    inputs = [tree / 'a.png', tree / 'sub' / 'a.png']
    first, second = (source.name for source in list_sources(inputs, same_names=True))
    assert first == 'a.png' and second.startswith('a.png~')


def test_a_name_with_brackets_is_no_pattern(tree):
    (tree / 'x[1].png').write_bytes(b'x')
    assert names(tree / 'x[1].png') == ['x[1]']


def test_what_is_not_there(tree):
    with pytest.raises(FileNotFoundError, match='gone.png: no such file or folder'):
        list_sources(tree / 'gone.png')
    with pytest.raises(FileNotFoundError, match='no file fits this pattern'):
        list_sources(str(tree / '*.bmp'))
    (tree / 'empty').mkdir()
    with pytest.raises(ValueError, match='no image or video in this folder'):
        list_sources(tree / 'empty')
    with pytest.raises(ValueError, match='input 1 is a int'):
        list_sources([tree, 3])
    with pytest.raises(ValueError, match='no input'):
        list_sources([])


def test_dangling_link_is_found_when_it_is_read(tree):
    os.symlink(tree / 'nowhere.png', tree / 'link.png')
    assert 'link' in names(tree)


def test_frames(video):
    sources = list_sources(video.parent)
    assert [source.name for source in sources] == [f'clip/frame_{i:06d}' for i in range(4)]
    for index in (0, 1, 3, 2):  # back and forth
        frame = sources[index].read()
        assert frame.shape == (32, 48, 3) and abs(int(frame.mean()) - 60 * index) < 6


def test_videos_of_one_name_stay_apart(video):
    """All frames of a video are called alike, those that the shorter one has and the others."""
    write_video(video.with_suffix('.mov'), 2)
    cv2.imwrite(str(video.with_suffix('.png')), np.zeros((8, 8, 3), np.uint8))
    found = names(video.parent)
    assert found == ['clip'] + [f'clip.avi/frame_{i:06d}' for i in range(4)] + [
        f'clip.mov/frame_{i:06d}' for i in range(2)
    ]
    (video.parent / 'clip').mkdir()
    video.with_suffix('.mov').rename(video.parent / 'clip/frame_000001.png')
    found = names(video.parent)
    assert 'clip/frame_000001.png' in found and 'clip.avi/frame_000003' in found
    assert not [name for name in found if name.startswith('clip/frame_000000')]


def test_an_unreadable_video_has_no_ending_either(tmp_path):
    (tmp_path / 'bad.mp4').write_bytes(b'x')
    assert names(tmp_path) == ['bad']


def test_no_video(tmp_path):
    (tmp_path / 'bad.mp4').write_bytes(b'no video')
    with pytest.raises(ValueError, match='bad.mp4: not readable as a video'):
        Video(str(tmp_path / 'bad.mp4'))


def test_circles_of_links_end(tree):
    for link in ('l1', 'l2', 'sub/l3'):
        (tree / link).symlink_to(tree)
    assert names(tree) == ['a', 'b', 'sub/a']


def test_results_and_folders_keep_apart(tree):
    for name in ('x/a.jpg', 'x/a.png/b.png', 'x/c.jpg', 'x/c.json/b.png', 'x/c.jpg.PNG/d.png'):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(b'x')
    found = [name for name in names(tree) if name.startswith('x')]
    assert found[0] == 'x/a.jpg' and found[1].startswith('x/c.jpg~')
    written = {f'{name}{suffix}'.lower() for name in found for suffix in ('.png', '.json')}
    folders = {part.lower() for name in found for part in _folders(name)}
    assert len(written) == 2 * len(found) and not written & folders


def _folders(name):
    parts = name.split('/')[:-1]
    return ['/'.join(parts[: n + 1]) for n in range(len(parts))]


def test_names_that_no_result_can_have(tree):
    odd = [
        b'caf\xe9.png', b'caf%e9.png', 'é.png'.encode(), b'n' * 239 + b'.png', b'n' * 240 + b'.png',
        ('ü' * 120 + '.png').encode(), b'line\nbreak.png', b'dir\xff/a.png',
    ]  # fmt: skip
    for name in odd:
        path = os.path.join(os.fsencode(tree), b'odd', name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as file:
            file.write(b'x')
    found = names(tree / 'odd')
    assert len(set(found)) == len(odd) and {'caf%e9', 'é', 'line\nbreak'} <= set(found)
    for name in found:
        name.encode('utf-8')
        assert max(len(part.encode()) for part in name.split('/')) < 235
    assert names(tree / 'odd') == found
