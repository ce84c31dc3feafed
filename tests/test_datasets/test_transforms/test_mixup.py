# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from smallobj_mm.datasets.transforms import BetaMixUp


def test_blends_images_and_joins_boxes(painted, seeded, monkeypatch):
    rng = np.random.default_rng(0)
    first, second = painted.sample(rng, ignored=1), painted.sample(rng, ignored=2)
    transform = BetaMixUp()
    monkeypatch.setattr(transform, '_draw', lambda: 0.25)
    out = transform(dict(first, mix_results=[second]))
    expected = 0.25 * first['img'] + 0.75 * second['img']
    assert out['img'].dtype == np.uint8
    np.testing.assert_allclose(out['img'], expected, atol=0.51)
    for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
        np.testing.assert_array_equal(out[key], np.concatenate([first[key], second[key]]))
    joined = np.concatenate([painted.boxes(first), painted.boxes(second)])
    np.testing.assert_array_equal(painted.boxes(out), joined)


def test_ratio_is_beta_distributed(seeded):
    draws = np.array([BetaMixUp()._draw() for _ in range(4000)])
    np.testing.assert_allclose(draws.mean(), 0.5, atol=0.01)
    np.testing.assert_allclose(draws.std(), np.sqrt(64 / 256 / 17), atol=0.01)


def test_nothing_to_mix_in_changes_nothing(painted):
    sample = painted.sample(np.random.default_rng(1))
    out = BetaMixUp()(dict(sample, mix_results=[]))
    assert out['img'] is sample['img'] and out['gt_bboxes'] is sample['gt_bboxes']


def test_mixes_as_often_as_configured(seeded):
    counts = [len(BetaMixUp(prob=0.15).get_indexes(range(7))) for _ in range(3000)]
    assert set(counts) == {0, 1}
    np.testing.assert_allclose(np.mean(counts), 0.15, atol=0.02)


def test_errors_name_what_is_wrong(painted):
    rng = np.random.default_rng(2)
    sample, larger = painted.sample(rng), painted.sample(rng, height=70)
    with pytest.raises(ValueError, match='MultiImageMixDataset'):
        BetaMixUp()(sample)
    with pytest.raises(ValueError, match='painted.png is uint8'):
        BetaMixUp()(dict(sample, mix_results=[larger]))
    with pytest.raises(ValueError, match='found 2 samples'):
        BetaMixUp()(dict(sample, mix_results=[sample, sample]))
    with pytest.raises(ValueError, match='prob is 2'):
        BetaMixUp(prob=2)
    with pytest.raises(ValueError, match='alpha and beta'):
        BetaMixUp(alpha=0)
