# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the recorded augmentations do to an image, and what they say about it."""

import re

import cv2
import numpy as np
import pytest

pytest.importorskip('mmpretrain')

from smallobj_mm.datasets.transforms import view_ops  # noqa: E402
from smallobj_mm.datasets.transforms import views as v  # noqa: E402
from smallobj_mm.datasets.transforms.view_differences import (  # noqa: E402
    TARGETS,
    difference,
    new_record,
)
from smallobj_mm.datasets.transforms.view_wrappers import LocalCrops  # noqa: E402


@pytest.fixture
def image():
    """A smooth color image of 60x40 px."""
    small = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(small, (60, 40), interpolation=cv2.INTER_CUBIC)


def apply(transform, image, **more):
    """Image and record; the input stays as it was."""
    before = image.copy()
    results = transform(dict(img=image, view_record=new_record(), **more))
    assert np.array_equal(image, before)
    return results['img'], results['view_record']


def test_crop_is_where_it_says(image):
    rows, columns = np.mgrid[0:400, 0:600]
    position = np.stack([columns * 255 / 600, rows * 255 / 400, rows * 0], 2).astype(np.uint8)
    for _ in range(20):
        out, record = apply(v.RecordedCrop(size=50), position)
        assert out.shape == (50, 50, 3)
        x, y, w, h = record['crop']
        assert abs(out[..., 0].mean() / 255 - x) < 0.01
        assert abs(out[..., 1].mean() / 255 - y) < 0.01
        assert 0.19 < w * h <= 1 and 0.74 < w * 600 / (h * 400) < 1.35
        assert w / 2 - 1e-9 <= x <= 1 - w / 2 + 1e-9


@pytest.mark.parametrize('shape', [(1, 1), (1, 300), (300, 1), (7, 3)])
def test_crop_of_odd_images(shape):
    out, record = apply(v.RecordedCrop(size=8), np.zeros((*shape, 3), np.uint8))
    assert out.shape == (8, 8, 3) and (record['crop'][2:] <= 1).all()


def test_flip(image):
    out, record = apply(v.RecordedFlip(prob=1), image)
    assert np.array_equal(out, image[:, ::-1]) and record['flip'] == 1
    assert np.array_equal(apply(v.RecordedFlip(prob=0), image)[0], image)


def test_jitter(image):
    for _ in range(10):
        _, record = apply(v.RecordedColorJitter(prob=1, hue=0), image)
        assert (np.abs(record['color']) <= 1).all() and record['color'][3] == 0
        assert (record['color'][:3] != 0).all()
    out, record = apply(v.RecordedColorJitter(prob=0), image)
    assert out is image and not record['color'].any()


def test_gray_images_have_no_color_to_change(image):
    out, record = apply(v.RecordedColorJitter(prob=1), view_ops.gray(image), source_is_gray=True)
    assert view_ops.is_gray(out) and not view_ops.is_gray(image)
    assert record['color'][:2].all() and not record['color'][2:].any()


@pytest.mark.parametrize(
    ('name', 'factor', 'expected'),
    [
        ('brightness', 0.5, lambda x: x * 0.5),
        ('contrast', 1.3, lambda x: x.dot([0.114, 0.587, 0.299]).mean() * -0.3 + x * 1.3),
        ('saturation', 0.6, lambda x: x * 0.6 + 0.4 * x.dot([0.114, 0.587, 0.299])[..., None]),
    ],
)
def test_colors_by_their_definitions(image, name, factor, expected):
    ours = getattr(view_ops, name)(image, factor).astype(float)
    assert np.abs(ours - np.clip(expected(image.astype(float)), 0, 255)).max() <= 1.5


def test_hue_turns(image):
    assert view_ops.hue(image, 0.001) is image
    red = np.full((4, 4, 3), (0, 0, 255), np.uint8)
    assert np.array_equal(view_ops.hue(red, 1 / 3)[0, 0], (0, 255, 0))
    assert np.abs(view_ops.hue(view_ops.hue(image, 0.1), -0.1).astype(int) - image).max() < 12


def test_blur_gray_and_solarize(image):
    out, record = apply(v.RecordedBlur(sigma=(1.0, 2.0), prob=1), image)
    assert out.std() < image.std() and 0.5 <= record['blur'] <= 1
    out, record = apply(v.RecordedSolarize(prob=1), image)
    assert np.array_equal(out, np.where(image >= 128, 255 - image, image))
    assert record['solarize'] == 0.5
    assert view_ops.is_gray(apply(v.RecordedGrayscale(prob=1), image)[0])


def test_differences():
    first, second = new_record(), new_record()
    first['crop'], second['crop'] = np.array([0.2, 0.3, 0.4, 0.5]), np.array([0.6, 0.4, 0.1, 0.2])
    first['color'] = np.array([0.5, 0, -1, 0])
    first['rotation'], second['rotation'] = 1, 2
    assert np.allclose(difference('crop', first, second), [-0.4, -0.1, 0.3, 0.3])
    assert np.allclose(difference('color', first, second), first['color'])
    assert difference('rotation', first, second) == 3
    assert difference('rotation', second, first) == 1
    for name in set(TARGETS) - {'rotation'}:
        there, back = difference(name, first, second), difference(name, second, first)
        assert there.dtype == np.float32 and there.shape == (TARGETS[name].outputs,)
        assert np.array_equal(there, -back)


def test_difference_in_the_frame_of_a_mirrored_first_view(image):
    _, first = apply(v.RecordedFlip(prob=1), image)
    second = new_record()
    first['crop'] = np.array([0.2, 0.3, 0.4, 0.5])
    change = np.array([-0.3, -0.2, -0.6, -0.5])
    assert np.allclose(difference('crop', second, first), -change)  # the second is as it was
    assert np.allclose(difference('crop', first, second), change * [-1, 1, 1, 1])


@pytest.mark.parametrize('flipped', [False, True])
def test_frame_of_a_turned_first_view(flipped):
    """Where a point of the source ends up in the view is where the record says."""
    source = np.zeros((9, 9, 3), np.uint8)
    source[2, 7] = 255  # x = +3, y = -2 from the center
    out, record = apply(v.RecordedFlip(prob=float(flipped)), source)
    results = v.RecordedRotation(prob=1)(dict(img=out, view_record=record))
    y, x = np.argwhere(results['img'][..., 0])[0] - 4
    assert np.allclose(results['view_record']['axes'] @ [3, -2], [x, y])
    assert results['view_record']['rotation'] in (1, 2, 3)


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('RecordedCrop', dict(size=0)),
        ('RecordedCrop', dict(interpolation='cubic')),
        ('RecordedCrop', dict(scale=(0.5, 0.2))),
        ('RecordedFlip', dict(prob=2)),
        ('RecordedColorJitter', dict(hue=0.7)),
        ('RecordedBlur', dict(sigma=(2.0,))),
        ('RecordedSolarize', dict(threshold=(0, 300))),
    ],
)
def test_bad_options(name, options):
    with pytest.raises(ValueError, match=f'{name}: .*expected'):
        getattr(v, name)(**options)


@pytest.mark.parametrize(
    ('name', 'option', 'value', 'expected'),
    [
        ('RecordedCrop', 'scale', 0.2, r'\(smallest, largest\) within'),
        ('RecordedCrop', 'scale', None, r'\(smallest, largest\) within'),
        ('RecordedCrop', 'ratio', ('3/4', '4/3'), r'\(smallest, largest\) within'),
        ('RecordedCrop', 'size', (224, 224), 'an integer of 1 or more'),
        ('RecordedCrop', 'size', 224.5, 'an integer of 1 or more'),
        ('RecordedCrop', 'interpolation', ['bilinear'], 'one of nearest, bilinear'),
        ('RecordedFlip', 'prob', (0.5,), 'a probability'),
        ('RecordedRotation', 'prob', '0.5', 'a probability'),
        ('RecordedGrayscale', 'prob', None, 'a probability'),
        ('RecordedColorJitter', 'brightness', (0.6, 1.4), r'one number in \[0, 1\]'),
        ('RecordedColorJitter', 'hue', '0.1', r'one number in \[0, 0.5\]'),
        ('RecordedColorJitter', 'contrast', float('nan'), r'one number in \[0, 1\]'),
        ('RecordedBlur', 'sigma', 1.0, r'\(smallest, largest\) within'),
        ('RecordedSolarize', 'threshold', 128, r'\(smallest, largest\) within'),
        ('RecordedSolarize', 'threshold', 'ab', r'\(smallest, largest\) within'),
    ],
)
def test_options_of_another_kind(name, option, value, expected):
    """Such as torchvision's or mmpretrain's transforms take them."""
    found = re.escape(repr(value))
    with pytest.raises(ValueError, match=f'^{name}: {option} is {found}, expected {expected}') as e:
        getattr(v, name)(**{option: value})
    assert '\n' not in str(e.value)


@pytest.mark.parametrize(
    ('options', 'found'),
    [
        (dict(grid=(3, 3)), r'grid is \(3, 3\) and size 64'),
        (dict(size=6.5), 'grid is 3 and size 6.5'),
    ],
)
def test_local_crops_of_another_kind(options, found):
    with pytest.raises(ValueError, match=f'^LocalCrops: {found}, expected integers of 1 or more'):
        LocalCrops(**options)
