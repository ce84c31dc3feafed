# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Lists, folders and headers of images."""

import pytest
from PIL import Image

from smallobj_mm.datasets.files import (
    DirectoryIndex,
    list_images,
    read_id_list,
    read_image_size,
    strip_image_suffix,
)


def test_list_with_crlf_blanks_and_byte_order_mark(tmp_path):
    path = tmp_path / 'list.txt'
    path.write_bytes(b'\xef\xbb\xbfa b  \r\n\r\n\tc\t\r\nd')
    assert read_id_list(str(path)) == ['a b', 'c', 'd']


def test_repeated_entries_are_left_out_with_a_count(tmp_path, logged):
    path = tmp_path / 'list.txt'
    path.write_text('a\nb\na\na\n')
    assert read_id_list(str(path)) == ['a', 'b']
    assert '2 repeated entries' in logged[0][1]


@pytest.mark.parametrize('content', [b'', b'\n \r\n\t\n'])
def test_empty_list(tmp_path, content):
    path = tmp_path / 'list.txt'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='list.txt: the list is empty'):
        read_id_list(str(path))


def test_list_that_is_absent_or_no_text(tmp_path):
    with pytest.raises(FileNotFoundError, match='absent.txt'):
        read_id_list(str(tmp_path / 'absent.txt'))
    path = tmp_path / 'list.txt'
    path.write_bytes(b'\xff\xd8\xff\xe0')
    with pytest.raises(ValueError, match='list.txt: expected UTF-8 text'):
        read_id_list(str(path))


def test_directory_index(tmp_path, image_writer):
    image_writer(tmp_path / 'im' / 'a.PNG')
    image_writer(tmp_path / 'im' / 'b.x.jpg')
    image_writer(tmp_path / 'im' / 'b.x.png')
    index, folder = DirectoryIndex(), str(tmp_path / 'im')
    assert index.has(f'{folder}/a.PNG') and not index.has(f'{folder}/a.png')
    assert not index.has(f'{tmp_path}/absent/a.png')
    assert index.find_image(folder, 'a') == f'{folder}/a.PNG'
    assert index.find_image(folder, 'b.x', hint='b.x.png') == f'{folder}/b.x.png'
    assert index.find_image(folder, 'b.x', hint='other.png') == f'{folder}/b.x.jpg'
    assert index.find_image(folder, 'b') is None
    assert list_images(str(tmp_path)) == [f'{folder}/{n}' for n in ('a.PNG', 'b.x.jpg', 'b.x.png')]


def test_strip_image_suffix():
    assert [strip_image_suffix(n) for n in ('a.jpg', 'a.b', 'd/a.PNG')] == ['a', 'a.b', 'd/a']


def test_image_size_from_the_header(tmp_path, image_writer):
    path = tmp_path / 'a.jpg'
    image_writer(path, 60, 40)
    assert read_image_size(str(path)) == (60, 40)
    # the header alone is enough
    path.write_bytes(path.read_bytes()[:700])
    assert read_image_size(str(path)) == (60, 40)


def test_image_size_follows_the_exif_orientation_as_opencv_does(tmp_path):
    import cv2

    path = tmp_path / 'a.jpg'
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (60, 40)).save(path, exif=exif)
    assert read_image_size(str(path)) == (40, 60)
    assert cv2.imread(str(path)).shape[:2] == (60, 40)


def test_unreadable_image(tmp_path):
    path = tmp_path / 'a.jpg'
    path.write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'a\.jpg: not readable as an image \(8 bytes'):
        read_image_size(str(path))
    with pytest.raises(FileNotFoundError, match='b.jpg'):
        read_image_size(str(tmp_path / 'b.jpg'))


def test_links_that_lead_in_circles(tmp_path, image_writer):
    for name in ('b/1.png', 'b/c/2.png', '3.png'):
        image_writer(tmp_path / name)
    for link in ('l1', 'l2', 'b/l3', 'b/c/l4', 'b/c/l5'):
        (tmp_path / link).symlink_to(tmp_path)
    (tmp_path / 'b' / 'a').symlink_to('.')
    (tmp_path / 'loop').symlink_to('loop')
    (tmp_path / 'gone').symlink_to('absent')
    (tmp_path / 'again.png').symlink_to('3.png')
    found = [path[len(str(tmp_path)) + 1 :] for path in list_images(str(tmp_path))]
    assert found == ['3.png', 'again.png', 'b/1.png', 'b/c/2.png']


def test_links_to_other_folders_are_followed_once(tmp_path, image_writer):
    image_writer(tmp_path / 'elsewhere' / 'sub' / '1.png')
    image_writer(tmp_path / 'here' / 'z' / '2.png')
    (tmp_path / 'here' / 'a').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'here' / 'b').symlink_to(tmp_path / 'elsewhere' / 'sub')
    (tmp_path / 'here' / 'c').symlink_to('z')
    found = list_images(str(tmp_path / 'here'))
    assert found == [f'{tmp_path}/here/a/sub/1.png', f'{tmp_path}/here/z/2.png']
    assert list_images(str(tmp_path / 'here' / 'a')) == [f'{tmp_path}/here/a/sub/1.png']


def test_order_is_that_of_folders(tmp_path):
    for name in ('b/2.png', 'b.png', 'b-c/1.png', 'b/a/3.png', 'a.PNG'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path[len(str(tmp_path)) + 1 :] for path in list_images(str(tmp_path))]
    assert found == ['a.PNG', 'b.png', 'b/2.png', 'b/a/3.png', 'b-c/1.png']
