# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Batches of one size, drawn anew for each batch."""

from functools import lru_cache
from typing import Any, List, Sequence

import numpy as np
from mmengine.dataset import Compose, pseudo_collate
from mmseg.datasets.transforms import Resize

from smallobj_mm.registry import FUNCTIONS
from smallobj_mm.utils.errors import UserError

#: Sides in px, as the iSmallNet recipe has them.
DEFAULT_SIZES = (224, 256, 288, 320, 352)

_pipelines: dict = {}


@FUNCTIONS.register_module()
def sync_resize_collate(
    batch: List[dict],
    sizes: Sequence[int] = DEFAULT_SIZES,
    keep_ratio: bool = False,
    transforms: Sequence[dict] = (),
) -> Any:
    """Resize a whole batch to one random square size, then finish and collate its samples.

    The data set's pipeline ends with the unpacked sample; what depends on the final size, such as
    LabelDecoupling, and the packing stand in ``transforms``. This runs in the workers of the
    data loader and draws from NumPy's global state. With
    :class:`~smallobj_mm.engine.hooks.RandomStateHook`, which all configs have, workers are
    seeded anew in each epoch, whether they are persistent or not. Without it mmengine seeds
    workers alike in each epoch: take ``persistent_workers=True``, or every epoch repeats the
    first one's sizes.

    In a config::

        collate_fn=dict(
            type='sync_resize_collate',
            sizes=[224, 256, 288, 320, 352],
            transforms=[dict(type='LabelDecoupling'), dict(type='PackIRSTDInputs')],
        )

    Args:
        batch (list[dict]): Samples with img and the maps that seg_fields names. Images are
            resized bilinearly, maps to the nearest pixel.
        sizes (Sequence[int]): Sides in px, of which one is drawn for each batch.
        keep_ratio (bool): Whether the longer side becomes the drawn size and the aspect is kept;
            the data preprocessor then pads. False resizes to a square. Defaults to False.
        transforms (Sequence[dict]): Configs of the transforms that finish each sample.

    Returns:
        Any: The batch as :func:`mmengine.dataset.pseudo_collate` makes it.

    Raises:
        UserError: If there is no size, or one is below 1.
        UserError: If the samples are packed already.
    """
    if not len(sizes) or min(sizes) < 1:
        raise UserError(f'sync_resize_collate: sizes is {list(sizes)}, expected positive sides')
    if not all(isinstance(sample, dict) and 'img' in sample for sample in batch):
        raise UserError(
            'sync_resize_collate: a sample has no img; expected the unpacked sample: move the '
            "packing from the data set's pipeline to the transforms of collate_fn"
        )
    side = int(sizes[np.random.randint(len(sizes))])
    resize, finish = _resize(side, bool(keep_ratio)), _pipeline(transforms)
    return pseudo_collate([finish(resize(sample)) for sample in batch])


@lru_cache(maxsize=None)
def _resize(side: int, keep_ratio: bool) -> Resize:
    return Resize(scale=(side, side), keep_ratio=keep_ratio)


def _pipeline(transforms: Sequence[dict]) -> Compose:
    """Transforms are built once in each process, not for each batch."""
    key = repr(transforms)
    if key not in _pipelines:
        _pipelines[key] = Compose(list(transforms))
    return _pipelines[key]
