# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Batches of images whose sizes differ."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from smallobj_mm.models.data_preprocessors import ImageNorm, IRSTDDataPreProcessor

MEAN, STD = [124.55, 118.9, 102.94], [56.77, 55.97, 57.5]
SIZES = [(25, 33), (32, 7), (1, 1)]


def batch(sizes=SIZES):
    samples = []
    for height, width in sizes:
        data = SegDataSample(metainfo=dict(ori_shape=(height, width), img_shape=(height, width)))
        data.gt_sem_seg = PixelData(data=torch.ones(1, height, width, dtype=torch.int64))
        for name in ('gt_interior_map', 'gt_boundary_map'):
            data.set_data({name: PixelData(data=torch.ones(1, height, width))})
        samples.append(data)
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]
    return dict(inputs=images, data_samples=samples)


@pytest.mark.parametrize('mode', ['reflect', 'constant'])
@pytest.mark.parametrize('training', [True, False])
def test_sizes_and_truth(mode, training):
    data = batch()
    pre = IRSTDDataPreProcessor(MEAN, STD, bgr_to_rgb=True, pad_mode=mode, pad_val=7)
    out = pre(data, training)
    assert out['inputs'].shape == (3, 3, 32, 48) and out['inputs'].dtype == torch.float32
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    for number, (height, width) in enumerate(SIZES):
        image, data_sample = out['inputs'][number], out['data_samples'][number]
        plain = (data['inputs'][number].flip(0).float() - mean) / std
        assert torch.allclose(image[:, :height, :width], plain, atol=1e-5)
        assert data_sample.img_padding_size == [0, 48 - width, 0, 32 - height]
        assert tuple(data_sample.pad_shape) == (32, 48)
        if mode == 'constant':
            assert (image[:, height:] == 7).all() and (image[:, :, width:] == 7).all()
        names = ('gt_sem_seg', 'gt_interior_map', 'gt_boundary_map')
        maps = [data_sample.get(name).data for name in names]
        if training:
            assert all(m.shape == (1, 32, 48) for m in maps) and maps[0].dtype == torch.int64
            assert [int(m[0, -1, -1]) for m in maps] == [255, 0, 0]
            assert all((m[:, :height, :width] == 1).all() for m in maps)
        else:
            assert all(m.shape == (1, height, width) for m in maps)


def test_reflection_is_that_of_numpy():
    pre = IRSTDDataPreProcessor(size_divisor=64)
    for size in ((5, 9), (1, 3), (2, 2), (40, 64)):
        image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
        found = pre(dict(inputs=[image]))['inputs'][0]
        grow = [(0, 64 - size[0]), (0, 64 - size[1])]
        expected = np.pad(image.numpy(), [(0, 0), *grow], mode='reflect')
        assert np.array_equal(found.numpy(), expected)


def test_equal_sizes_and_stacked_input():
    images = torch.randint(0, 256, (2, 3, 20, 30), dtype=torch.uint8)
    for mode in ('reflect', 'constant'):
        pre = IRSTDDataPreProcessor(MEAN, STD, pad_mode=mode)
        together = pre(dict(inputs=images))['inputs']
        listed = pre(dict(inputs=list(images), data_samples=None))['inputs']
        one = torch.cat([pre(dict(inputs=[image]))['inputs'] for image in images])
        assert together.shape == (2, 3, 32, 32)
        assert torch.equal(together, listed) and torch.equal(together, one)


def test_gray_images_and_no_padding():
    pre = IRSTDDataPreProcessor(MEAN, STD, bgr_to_rgb=True, size_divisor=1)
    assert pre(dict(inputs=[torch.zeros(1, 7, 9)]))['inputs'].shape == (1, 3, 7, 9)
    plain = IRSTDDataPreProcessor(size_divisor=1)
    image = torch.rand(3, 7, 9)
    assert torch.equal(plain(dict(inputs=[image]))['inputs'][0], image)


@pytest.mark.parametrize('mode', ['reflect', 'constant'])
def test_own_level_and_spread(mode):
    """Each image as it comes out alone and unpadded, whatever the others and their sizes are."""
    pre = IRSTDDataPreProcessor(pad_mode=mode, pad_val=0.25, image_norm=dict(clip=2.0))
    data = batch([(25, 33), (32, 16), (32, 16)])
    out = pre(data)['inputs']
    for image, found in zip(data['inputs'], out):
        height, width = image.shape[1:]
        expected = ImageNorm(clip=2.0)(image[None])[0]
        torch.testing.assert_close(found[:, :height, :width], expected)
        if mode == 'constant':
            assert (found[:, height:] == 0.25).all()
        else:
            assert (found[:, height:].abs() <= expected.abs().max()).all()


def test_stock_postprocess_cuts_the_padding_off():
    from mmseg.models import EncoderDecoder

    data = batch([(25, 33), (50, 41)])
    out = IRSTDDataPreProcessor()(data)
    logits = out['inputs'][:, :1] - 128

    class Segmentor:
        align_corners = False
        decode_head = type('Head', (), dict(threshold=0.5))

    results = EncoderDecoder.postprocess_result(Segmentor, logits, out['data_samples'])
    for image, result in zip(data['inputs'], results):
        assert torch.equal(result.pred_sem_seg.data, (image[:1].float() > 128).float())
        assert result.seg_logits.data.shape == (1, *image.shape[1:])


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(pad_mode='x'), "pad_mode is 'x'"),
        (dict(size_divisor=0), 'size_divisor is 0'),
        (dict(mean=MEAN), 'expected both or neither'),
        (dict(mean=MEAN, std=STD, image_norm={}), 'expected one of them'),
    ],
)
def test_options(options, message):
    with pytest.raises(ValueError, match=message):
        IRSTDDataPreProcessor(**options)


def test_bad_batches():
    pre = IRSTDDataPreProcessor()
    with pytest.raises(ValueError, match=r'shapes \[\(3, 4, 4\), \(1, 4, 4\)\]'):
        pre(dict(inputs=[torch.zeros(3, 4, 4), torch.zeros(1, 4, 4)]))
    with pytest.raises(ValueError, match='expected them in training'):
        pre(dict(inputs=[torch.zeros(3, 4, 4)]), training=True)
