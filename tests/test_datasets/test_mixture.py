# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Mixtures: shares are met over any stretch, seeds repeat, pipelines run in order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from smallobj_mm.datasets import WeightedMixtureDataset
from smallobj_mm.datasets.mixture import _interleaved


class Numbers(BaseDataset):
    """Samples (name, 0), (name, 1), ..."""

    METAINFO = dict(classes=('a',))

    def __init__(self, name, size, classes=('a',), lazy_init=False):
        self.name, self.size = name, size
        super().__init__(metainfo=dict(classes=classes), lazy_init=lazy_init)

    def load_data_list(self):
        return [dict(name=self.name, number=number) for number in range(self.size)]


def mixture(weights=(3, 1), **options):
    """Two data sets of 5 and 50 samples."""
    return WeightedMixtureDataset([Numbers('x', 5), Numbers('y', 50)], weights, **options)


@settings(deadline=None, max_examples=100)
@given(weights=st.lists(st.floats(0, 10), min_size=1, max_size=6), length=st.integers(1, 400))
def test_shares_are_met_to_within_a_sample(weights, length):
    weights = np.array(weights) + 1e-6
    shares = weights / weights.sum()
    numbers = _interleaved(shares, length)
    assert len(numbers) == length
    counts = np.bincount(numbers, minlength=len(shares))
    assert (np.abs(counts - shares * length) <= 1 + 1e-6).all()
    half = np.bincount(numbers[: length // 2], minlength=len(shares))
    assert (np.abs(half - counts / 2) <= 2).all()  # evenly mixed


def test_samples_come_in_the_shares(seeded):
    dataset = mixture(length=400)
    samples = [dataset[index] for index in range(400)]
    assert len(dataset) == 400
    assert sum(sample['name'] == 'x' for sample in samples) == 300
    assert {sample['number'] for sample in samples if sample['name'] == 'x'} == set(range(5))
    assert len({sample['number'] for sample in samples if sample['name'] == 'y'}) > 35
    assert dataset.metainfo['classes'] == ('a',)
    assert 'weights=[3.0, 1.0]' in repr(dataset)


def test_sizes_are_the_shares_without_weights():
    dataset = mixture(weights=None)
    assert len(dataset) == 55 and np.bincount(dataset.sources).tolist() == [5, 50]
    assert np.bincount(mixture(weights=(0, 1), length=7).sources).tolist() == [0, 7]


def test_seeds_repeat(seeded):
    outcomes = []
    for seed in (1, 1, 2):
        seeded(seed)
        dataset = mixture(length=30)
        outcomes.append([dataset[index]['number'] for index in range(30)])
        outcomes[-1].append(dataset.get_data_info(0)['number'])
    assert outcomes[0] == outcomes[1] != outcomes[2]


def test_the_common_pipeline_follows_and_may_refuse(seeded):
    refused = []

    def odd_only(results):
        if results['number'] % 2 == 0:
            refused.append(results)
            return None
        return dict(results, seen=True)

    dataset = mixture(length=40, pipeline=[odd_only])
    samples = [dataset[index] for index in range(40)]
    assert all(sample['seen'] and sample['number'] % 2 for sample in samples) and refused
    never = mixture(length=4, pipeline=[lambda results: None], max_refetch=3)
    with pytest.raises(RuntimeError, match='in 3 attempts'):
        never[0]


def test_transforms_are_prepared_with_the_lists():
    class Preparing:
        count = 0

        def prepare(self):
            self.count += 1

        def __call__(self, results):
            return results

    step = Preparing()
    dataset = mixture(pipeline=[step, dict], lazy_init=True)
    assert step.count == 0
    dataset.full_init()
    dataset.full_init()
    assert step.count == 1


def test_lists_are_read_at_first_use():
    parts = [Numbers('x', 5, lazy_init=True)]
    dataset = WeightedMixtureDataset(parts, lazy_init=True)
    assert not parts[0]._fully_initialized
    assert len(dataset) == 5 and parts[0]._fully_initialized
    built = DATASETS.build(dict(type='WeightedMixtureDataset', datasets=parts, length=3))
    assert len(built) == 3


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(datasets=[]), 'datasets is empty'),
        (dict(weights=[1, 2]), 'expected 1 numbers'),
        (dict(weights=[0]), 'not all 0'),
        (dict(weights=[-1]), 'none below 0'),
        (dict(length=0), 'length is 0'),
        (dict(datasets=[Numbers('x', 2), Numbers('y', 2, ('b',))]), 'the same in all'),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        WeightedMixtureDataset(**dict(dict(datasets=[Numbers('x', 2)]), **options))
