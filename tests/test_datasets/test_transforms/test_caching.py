# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Cached transforms give what the transforms give; gray images get channels."""

import cv2
import numpy as np
import pytest

from smallobj_mm.datasets.transforms import (
    CachedTransforms,
    LoadBinaryMask,
    LoadImageStrict,
    RepeatGrey,
)


@pytest.fixture
def info(tmp_path):
    """An image and its mask."""
    img = np.random.default_rng(0).integers(0, 255, (20, 30), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), img)
    cv2.imwrite(str(tmp_path / 'm.png'), (img > 200).astype(np.uint8) * 255)
    paths = dict(img_path=str(tmp_path / 'a.png'), seg_map_path=str(tmp_path / 'm.png'))
    return lambda: dict(paths, seg_fields=[], note='own')


def same(first, second):
    """Whether two samples are equal."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert np.array_equal(value, second[name]), name


@pytest.mark.parametrize('max_mib', [0, 1])
def test_results_are_the_same_each_time(info, max_mib):
    steps = [LoadImageStrict(color_type='grayscale'), LoadBinaryMask()]
    calls = []

    def counting(results):
        calls.append(1)
        return steps[1](steps[0](results))

    cached = CachedTransforms([counting], max_mib=max_mib)
    expected = steps[1](steps[0](info()))
    for _ in range(3):
        results = cached(info())
        same(results, expected)
        results['img'][:] = 0  # what follows may change its arrays
        results['gt_seg_map'][:] = 7
        results['seg_fields'].append('other')
    assert len(calls) == (3 if max_mib == 0 else 1)
    assert cached(dict(info(), note='new'))['note'] == 'new'


def test_memory_is_limited(info):
    cached = CachedTransforms([LoadImageStrict(color_type='grayscale')], max_mib=700 / 2**20)
    for name in ('x', 'y'):
        cached(dict(info(), seg_map_path=name))
    assert len(cached._cache) == 1  # 600 bytes each


def test_a_refused_sample_is_not_kept(info):
    cached = CachedTransforms([lambda results: None])
    assert cached(info()) is None and cached(info()) is None


def test_cache_options():
    for options in (dict(transforms=[]), dict(max_mib=-1), dict(keys=())):
        with pytest.raises(ValueError, match='CachedTransforms'):
            CachedTransforms(**dict(dict(transforms=[len]), **options))


@pytest.mark.parametrize('shape', [(4, 5), (4, 5, 1)])
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_gray_is_repeated(shape, dtype):
    img = np.arange(20, dtype=dtype).reshape(shape)
    result = RepeatGrey(3)(dict(img=img))['img']
    assert result.shape == (4, 5, 3) and result.dtype == dtype
    assert all(np.array_equal(result[..., c], img.reshape(4, 5)) for c in range(3))
    color = dict(img=result)
    assert RepeatGrey(3)(color)['img'] is result
    with pytest.raises(ValueError, match='has 3 channels, expected 1 or 2'):
        RepeatGrey(2)(dict(img=result))
    with pytest.raises(ValueError, match='channels is 0'):
        RepeatGrey(0)
