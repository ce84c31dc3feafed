# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import PixelData
from torch import nn

pytest.importorskip('mmseg')

from mmseg.structures import SegDataSample

from smallobj_mm.models.tta import ProbabilityTTAModel


class Segmentor(nn.Module):
    """What the merging asks of a segmentor."""

    decode_head = SimpleNamespace(threshold=0.4)

    def test_step(self, data):
        return data


def sample(logits, **meta):
    meta = dict(img_path='a.png', ori_shape=logits.shape[1:], img_shape=logits.shape[1:], **meta)
    return SegDataSample(seg_logits=PixelData(data=logits), metainfo=meta)


def test_mean_of_probabilities_with_views_undone():
    one, other = torch.rand(1, 3, 5), torch.rand(1, 3, 5)
    turned = torch.rot90(other.flip(-1), 1, dims=(-2, -1))
    views = [
        sample(turned, tta_view=('horizontal', 1)),
        sample(one, tta_view=(None, 0)),
        sample(one),
    ]
    (merged,) = ProbabilityTTAModel(Segmentor()).merge_preds([views])
    expected = (2 * one + other) / 3
    torch.testing.assert_close(merged.seg_logits.data, expected)
    assert torch.equal(merged.pred_sem_seg.data > 0, merged.seg_logits.data > 0.4)
    assert merged.ori_shape == merged.img_shape == (3, 5)


def test_equal_views_change_nothing():
    one = torch.rand(1, 7, 9)
    (merged,) = ProbabilityTTAModel(Segmentor()).merge_preds([[sample(one.clone())] * 3])
    assert torch.equal(merged.seg_logits.data, one)


def test_several_classes_give_logits_of_the_mean():
    logits = torch.randn(2, 4, 3, 5)
    (merged,) = ProbabilityTTAModel(Segmentor()).merge_preds([[sample(one) for one in logits]])
    mean = logits.softmax(dim=1).mean(dim=0)
    torch.testing.assert_close(merged.seg_logits.data.softmax(dim=0), mean)
    assert torch.equal(merged.pred_sem_seg.data[0], mean.argmax(dim=0))


def test_views_that_were_not_undone():
    views = [sample(torch.rand(1, 3, 5)), sample(torch.rand(1, 5, 3))]
    with pytest.raises(ValueError, match="a.png: views come out as .* add 'tta_view'"):
        ProbabilityTTAModel(Segmentor()).merge_preds([views])
