# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Several views of one image, local crops, and what the model is given."""

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip('mmpretrain')

from mmcv.transforms import Compose  # noqa: E402

from smallobj_mm.datasets.transforms.view_wrappers import (  # noqa: E402
    AugmentedViews,
    LocalCrops,
    PackViews,
)

VIEW = [
    dict(type='RecordedCrop', size=32),
    dict(type='RecordedFlip'),
    dict(type='RecordedColorJitter', prob=1),
]
LOCAL = [dict(type='RecordedCrop', size=40), dict(type='LocalCrops', grid=3, size=12)]


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


def test_views_and_their_differences(image):
    pipeline = Compose(
        [AugmentedViews(views=[VIEW, VIEW, LOCAL, LOCAL]), PackViews(targets=['crop', 'color'])]
    )
    out = pipeline(dict(img=image.copy(), img_path='a.png', ori_shape=(50, 70), gt_label=3))
    assert [tuple(view.shape) for view in out['inputs']] == [(3, 32, 32)] * 2 + [(3, 36, 36)] * 2
    assert all(view.dtype == torch.uint8 for view in out['inputs'])
    assert not torch.equal(out['inputs'][0], out['inputs'][1])
    sample = out['data_samples']
    assert sample.crop_difference.shape == sample.color_difference.shape == (4,)
    assert sample.color_difference.abs().max() > 0 and int(sample.gt_label) == 3
    assert sample.img_path == 'a.png' and sample.img_shape == (32, 32)


def test_one_decoding_for_all_views(image, tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    local = [*VIEW, dict(type='LocalCrops', grid=2, size=8)]
    calls = []
    original = cv2.imdecode
    monkeypatch.setattr(cv2, 'imdecode', lambda *args: calls.append(1) or original(*args))
    pipeline = Compose(
        [dict(type='LoadImageStrict'), AugmentedViews(views=[VIEW, VIEW, local, local])]
    )
    pipeline(dict(img_path=str(tmp_path / 'a.png')))
    assert len(calls) == 1


def test_gray_infrared_image(image, tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), image[..., 0])
    pipeline = Compose([dict(type='LoadImageStrict'), AugmentedViews(views=[VIEW, VIEW])])
    out = pipeline(dict(img_path=str(tmp_path / 'a.png')))
    for record, view in zip(out['view_records'], out['views']):
        assert not record['color'][2:].any() and (view[..., 0] == view[..., 2]).all()


def test_local_crops_come_from_their_cells():
    cells = np.repeat(np.repeat(np.arange(9).reshape(3, 3), 11, 0), 11, 1).astype(np.uint8)
    out = LocalCrops(grid=3, size=8)(dict(img=np.stack([cells] * 3, 2)))['img']
    assert out.shape == (24, 24, 3)
    expected = np.repeat(np.repeat(np.arange(9).reshape(3, 3), 8, 0), 8, 1)
    assert np.array_equal(out[..., 1], expected)


def test_local_crops_are_anywhere_in_their_cells(image):
    crops = [LocalCrops(grid=1, size=30)(dict(img=image))['img'] for _ in range(5)]
    assert any(not np.array_equal(crops[0], other) for other in crops[1:])


def test_the_grid_goes_with_the_sample(image):
    """So that a model can tell crops from parts of crops."""
    pack = PackViews(meta_keys=['img_path'])
    for views, expected in (([VIEW, VIEW, LOCAL], 3), ([VIEW, VIEW], None)):
        out = pack(AugmentedViews(views=views)(dict(img=image.copy(), img_path='a.png')))
        assert out['data_samples'].get('local_grid') == expected


@pytest.mark.parametrize(
    ('views', 'message'),
    [
        ([VIEW], 'views has 1 pipelines, expected two whole views'),
        ([VIEW, VIEW, VIEW], r'views\[2\] ends in RecordedColorJitter, expected LocalCrops'),
        ([VIEW, VIEW, LOCAL, []], r'views\[3\] ends in nothing, expected LocalCrops'),
        ([VIEW, LOCAL, LOCAL], r'views\[1\] ends in LocalCrops, expected a whole view'),
        (
            [VIEW, VIEW, LOCAL, [dict(type='LocalCrops', grid=2, size=8)]],
            r'the grids of LocalCrops are \[2, 3\], expected one for all local views',
        ),
        (3, 'views is 3, expected a list of pipelines'),
        (
            [VIEW, VIEW[0]],
            r"views\[1\] is \{'type': 'RecordedCrop'.*, expected a list of transforms",
        ),
    ],
)
def test_views_that_the_model_could_not_tell_apart(views, message):
    with pytest.raises(ValueError, match=f'^AugmentedViews: {message}') as error:
        AugmentedViews(views=views)
    assert '\n' not in str(error.value)


def test_errors(image):
    with pytest.raises(ValueError, match='cells of 23x16 px, expected at least the 64 px'):
        LocalCrops()(dict(img=image))
    with pytest.raises(ValueError, match='a.png is float32'):
        AugmentedViews(views=[VIEW] * 2)(dict(img=image.astype('float32'), img_path='a.png'))
    with pytest.raises(ValueError, match=r"targets has \['tint'\]"):
        PackViews(targets=['tint'])
