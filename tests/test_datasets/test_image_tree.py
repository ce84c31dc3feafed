# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Image folders, trees of classes, lists, and what is wrong with them."""

import cv2
import numpy as np
import pytest
from mmengine.dataset import ConcatDataset

pytest.importorskip('mmpretrain')

from smallobj_mm.datasets.image_tree import ImageTreeDataset  # noqa: E402


@pytest.fixture
def tree(tmp_path):
    """train/{a,b,c} of 2, 1, 1 images, one of them gray, and lists."""
    for name in ('a/1.png', 'a/2.jpg', 'b/x.png', 'c/deep/y.png'):
        path = tmp_path / 'train' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((8, 8) if name[0] == 'b' else (8, 8, 3), np.uint8))
    (tmp_path / 'train' / 'notes.txt').write_text('not an image')
    (tmp_path / 'classes.txt').write_text('c some name\r\na another\r\n\r\n')
    (tmp_path / 'images.txt').write_text('a/2\nb/x.png\n')
    return tmp_path


def names(dataset):
    return [
        tuple(one['img_path'].split('/')[-2:])
        for one in map(dataset.get_data_info, range(len(dataset)))
    ]


def test_any_folder(tree):
    dataset = ImageTreeDataset(str(tree), 'train')
    assert names(dataset) == [('a', '1.png'), ('a', '2.jpg'), ('b', 'x.png'), ('deep', 'y.png')]
    assert 'gt_label' not in dataset.get_data_info(0)
    assert names(ImageTreeDataset(str(tree), 'train', image_list='images.txt')) == [
        ('a', '2.jpg'),
        ('b', 'x.png'),
    ]


def test_image_folder(tree):
    dataset = ImageTreeDataset(str(tree), 'train', with_label=True)
    assert [dataset.get_data_info(i)['gt_label'] for i in range(4)] == [0, 0, 1, 2]
    assert dataset.metainfo['classes'] == ('a', 'b', 'c')


def test_class_list(tree):
    """As ImageNet-100 is taken out of ImageNet; the labels follow the list."""
    dataset = ImageTreeDataset(str(tree), 'train', class_list='classes.txt', with_label=True)
    assert names(dataset) == [('deep', 'y.png'), ('a', '1.png'), ('a', '2.jpg')]
    assert [dataset.get_data_info(i)['gt_label'] for i in range(3)] == [0, 1, 1]
    assert len(ImageTreeDataset(str(tree), 'train', class_list='classes.txt')) == 3


def test_class_list_holds_for_an_image_list(tree):
    """Without labels, too: what is in no listed folder is left out."""
    options = dict(image_folder='train', class_list='classes.txt', image_list='images.txt')
    assert names(ImageTreeDataset(str(tree), **options)) == [('a', '2.jpg')]
    (tree / 'classes.txt').write_text('c\n')
    message = (
        r"images.txt: none of its 2 images is in the 1 class folders of class_list 'classes.txt'"
    )
    with pytest.raises(ValueError, match=message) as error:
        ImageTreeDataset(str(tree), **options)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('option', ['image_list', 'class_list'])
def test_a_missing_list_is_named(tree, option):
    message = f"none.txt: no such file, but {option} is 'none.txt'; .* set {option}=None for all"
    with pytest.raises(FileNotFoundError, match=message) as error:
        ImageTreeDataset(str(tree), 'train', **{option: 'none.txt'})
    assert '\n' not in str(error.value)


def test_mixed_sets_load_into_one_shape(tree):
    view = [dict(type='RecordedCrop', size=16)]
    pipeline = [
        dict(type='LoadImageStrict'),
        dict(type='AugmentedViews', views=[view, view]),
        dict(type='PackViews'),
    ]
    parts = [ImageTreeDataset(str(tree), f'train/{name}', pipeline=pipeline) for name in 'ab']
    mixed = ConcatDataset(parts)
    assert len(mixed) == 3
    assert {tuple(one['inputs'][0].shape) for one in mixed} == {(3, 16, 16)}


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(image_folder='nowhere'), FileNotFoundError, "nowhere' not found"),
        (dict(image_folder='train/c/deep', with_label=True), ValueError, 'no subfolders found'),
        (
            dict(image_folder='train', image_list='bad.txt'),
            FileNotFoundError,
            "image 'a/9' is not in",
        ),
        (dict(image_folder='train', image_list='none.txt'), FileNotFoundError, 'none.txt: no such'),
        (
            dict(image_folder='train', class_list='bad.txt'),
            FileNotFoundError,
            '1 of 1 class folders',
        ),
        (dict(image_folder='empty'), ValueError, 'no images found'),
        (
            dict(
                image_folder='train',
                class_list='classes.txt',
                image_list='images.txt',
                with_label=True,
            ),
            ValueError,
            "'b' is none of the 2 class folders",
        ),
    ],
)
def test_errors(tree, options, error, message):
    (tree / 'bad.txt').write_text('a/9\n')
    (tree / 'empty').mkdir()
    with pytest.raises(error, match=message) as caught:
        ImageTreeDataset(str(tree), **options)
    assert '\n' not in str(caught.value)
