# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Several data sets in fixed shares."""

from typing import Any, Callable, Dict, List, Optional, Sequence, Union

import numpy as np
from mmengine.dataset import Compose

from smallobj_mm.registry import DATASETS
from smallobj_mm.utils.errors import UserError


@DATASETS.register_module()
class WeightedMixtureDataset:
    """Draws from several data sets in fixed shares, whatever their sizes.

    An epoch has ``length`` samples. Which data set a sample comes from follows from its index
    alone, in the shares of the weights to within one sample; which of its images, is drawn anew
    each time, with the seeds of the workers. Each data set keeps its own pipeline, to load and
    crop its images; ``pipeline`` is what they have in common after that.

    Transforms of ``pipeline`` that have a method ``prepare``, as TargetCopyPaste does, are prepared
    when the lists are read: in the main process, so that workers need not do it each epoch.

    Works with the samplers of mmengine, in mmseg, mmdet and mmpretrain.

    Args:
        datasets (Sequence[dict | Dataset]): Data sets with the same classes.
        weights (Sequence[float], optional): Share of each, of any sum; 0 leaves one out. None
            for shares as their sizes. Defaults to None.
        length (int, optional): Samples of an epoch; None for as many as the data sets have
            together. Defaults to None.
        pipeline (Sequence[dict | Callable]): Transforms of all samples, after those of their
            data set.
        lazy_init (bool): Read the lists at first use only.
        max_refetch (int): How often another image is tried if a transform of ``pipeline`` returns
            None. Defaults to 100.

    Raises:
        UserError: If the weights do not fit the data sets, or their classes differ.

    Example:
        >>> cfg = dict(
        ...     type='WeightedMixtureDataset',
        ...     datasets=[
        ...         dict(type='IRSTDDataset', data_root='data/NUAA-SIRST', pipeline=[]),
        ...         dict(type='IRSTDDataset', data_root='data/NUDT-SIRST', pipeline=[]),
        ...     ],
        ...     weights=[0.6, 0.4],
        ...     length=2000,
        ... )
    """

    def __init__(
        self,
        datasets: Sequence[Any],
        weights: Optional[Sequence[float]] = None,
        length: Optional[int] = None,
        pipeline: Sequence[Union[dict, Callable]] = (),
        lazy_init: bool = False,
        max_refetch: int = 100,
    ) -> None:
        if not datasets:
            raise UserError('WeightedMixtureDataset: datasets is empty, expected one or more')
        if weights is not None and (
            len(weights) != len(datasets) or min(weights) < 0 or not sum(weights) > 0
        ):
            raise UserError(
                f'WeightedMixtureDataset: weights is {list(weights)}, expected {len(datasets)} '
                'numbers, one for each data set, none below 0 and not all 0'
            )
        if length is not None and length < 1:
            raise UserError(f'WeightedMixtureDataset: length is {length}, expected 1 or more')
        self.datasets = [
            DATASETS.build(dict(dataset, lazy_init=True)) if isinstance(dataset, dict) else dataset
            for dataset in datasets
        ]
        classes = [tuple(dataset.metainfo.get('classes', ())) for dataset in self.datasets]
        if len(set(classes)) > 1:
            raise UserError(
                f'WeightedMixtureDataset: the data sets have the classes {classes}, expected the '
                'same in all; give them the same metainfo'
            )
        self.weights = None if weights is None else [float(weight) for weight in weights]
        self.length = length
        self.max_refetch = max_refetch
        self.pipeline = Compose(list(pipeline))
        self._sources: Optional[np.ndarray] = None
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> Dict[str, Any]:
        """Classes and palette, those of the first data set."""
        return dict(self.datasets[0].metainfo)

    def full_init(self) -> None:
        """Read the lists of all data sets and prepare the common transforms, once."""
        if self._sources is not None:
            return
        for dataset in self.datasets:
            dataset.full_init()
        sizes = [len(dataset) for dataset in self.datasets]
        shares = np.array(self.weights or sizes, float)
        for transform in self.pipeline.transforms:
            if hasattr(transform, 'prepare'):
                transform.prepare()
        self._sources = _interleaved(shares / shares.sum(), self.length or sum(sizes))

    @property
    def sources(self) -> np.ndarray:
        """Number of the data set of each sample, (length,) int."""
        self.full_init()
        assert self._sources is not None
        return self._sources

    def __len__(self) -> int:
        return len(self.sources)

    def get_data_info(self, idx: int) -> dict:
        """An image of the data set that a sample comes from, drawn at random.

        Args:
            idx (int): Number of the sample.

        Returns:
            dict: What that data set knows about it, before any transform.
        """
        dataset = self.datasets[self.sources[idx]]
        return dataset.get_data_info(int(np.random.randint(len(dataset))))

    def __getitem__(self, idx: int) -> dict:
        dataset = self.datasets[self.sources[idx]]
        for _ in range(self.max_refetch):
            sample = self.pipeline(dataset[int(np.random.randint(len(dataset)))])
            if sample is not None:
                return sample
        raise RuntimeError(
            f'WeightedMixtureDataset: no sample of {type(dataset).__name__} passed the pipeline in '
            f'{self.max_refetch} attempts; look for a transform that returns None'
        )

    def __repr__(self) -> str:
        parts: List[str] = [type(dataset).__name__ for dataset in self.datasets]
        return f'{type(self).__name__}(datasets={parts}, weights={self.weights})'


def _interleaved(shares: np.ndarray, length: int) -> np.ndarray:
    """Numbers 0 to n-1 (length,) in the given shares, evenly mixed.

    Each place goes to the number that lags most behind its share, so that any stretch of samples
    has nearly the shares of the whole.
    """
    counts = np.floor(shares * length).astype(int)
    lag = shares * length - counts
    counts[np.argsort(-lag, kind='stable')[: length - counts.sum()]] += 1
    numbers = np.repeat(np.arange(len(shares)), counts)
    positions = np.concatenate([(np.arange(count) + 0.5) / count for count in counts if count])
    return numbers[np.argsort(positions, kind='stable')]
