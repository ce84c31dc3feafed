# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Transforms whose results stay in memory."""

from typing import Any, Callable, Dict, Optional, Sequence, Tuple, Union

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

_MIB = 2**20


@TRANSFORMS.register_module()
class CachedTransforms(BaseTransform):
    """Run transforms once for each image and keep what they added.

    For transforms at the start of a pipeline that draw nothing at random: loading, decoding,
    reading masks. Each process has its own cache: with several workers the images are held several
    times, and no longer than the workers live. Those are started anew for each epoch where
    ``persistent_workers`` is off or RandomStateHook is on; with ``num_workers=0`` images stay.

    Required keys: those of the transforms, and the keys named in ``keys``.
    Modified keys: those of the transforms. Arrays are copies, so that what follows may change them.

    Args:
        transforms (Sequence[dict | Callable]): What is run once.
        max_mib (float): Memory for arrays in MiB; when it is used up, further images are loaded
            each time. 0 for no cache. Defaults to 512.
        keys (Sequence[str]): What tells samples apart. Defaults to the paths of the image and of
            its mask.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> load = dict(
        ...     type='CachedTransforms',
        ...     transforms=[
        ...         dict(type='LoadImageStrict', color_type='grayscale'),
        ...         dict(type='LoadBinaryMask'),
        ...     ],
        ...     max_mib=256,
        ... )
    """

    def __init__(
        self,
        transforms: Sequence[Union[dict, Callable]],
        max_mib: float = 512,
        keys: Sequence[str] = ('img_path', 'seg_map_path'),
    ) -> None:
        if not transforms or max_mib < 0 or not keys:
            raise UserError(
                f'CachedTransforms: {len(transforms)} transforms, max_mib {max_mib} and keys '
                f'{keys}, expected one or more, 0 or more and one or more'
            )
        self.transforms = Compose(list(transforms))
        self.max_mib = max_mib
        self.keys = tuple(keys)
        self._cache: Dict[Tuple, Dict[str, Any]] = {}
        self._bytes = 0

    def transform(self, results: dict) -> Optional[dict]:
        """Run the transforms, or take their results from memory.

        Args:
            results (dict): The sample.

        Returns:
            dict | None: The sample as the transforms leave it.
        """
        key = tuple(results.get(name) for name in self.keys)
        if key in self._cache:
            results.update(_copied(self._cache[key]))
            return results
        before = dict(results)
        after = self.transforms(results)
        if after is None:
            return None
        added = {
            name: value
            for name, value in after.items()
            if name not in before or before[name] is not value or isinstance(value, list)
        }
        size = sum(value.nbytes for value in added.values() if isinstance(value, np.ndarray))
        if self._bytes + size <= self.max_mib * _MIB:
            self._cache[key] = _copied(added)
            self._bytes += size
        return after

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms}, max_mib={self.max_mib})'


def _copied(values: Dict[str, Any]) -> Dict[str, Any]:
    """The values, arrays and lists as copies."""
    return {
        name: value.copy() if isinstance(value, (np.ndarray, list)) else value
        for name, value in values.items()
    }


@TRANSFORMS.register_module()
class RepeatGrey(BaseTransform):
    """Repeat a gray image for networks that expect several channels.

    Gray images pass a pipeline of augmentations in a third of the time of colored ones; this
    stands at its end.

    Required keys: img, (H, W) or (H, W, 1). Modified keys: img, (H, W, channels). An image that has
    the number of channels already stays as it is.

    Args:
        channels (int): Number of channels. Defaults to 3.

    Raises:
        UserError: If ``channels`` is below 1.

    Example:
        >>> import numpy as np
        >>> RepeatGrey()(dict(img=np.zeros((4, 5), np.uint8)))['img'].shape
        (4, 5, 3)
    """

    def __init__(self, channels: int = 3) -> None:
        if channels < 1:
            raise UserError(f'RepeatGrey: channels is {channels}, expected 1 or more')
        self.channels = channels

    def transform(self, results: dict) -> dict:
        """Repeat the image.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample with its image of several channels.

        Raises:
            UserError: If the image has another number of channels.
        """
        img = results['img']
        if img.ndim == 3 and img.shape[2] == self.channels:
            return results
        if img.ndim == 3 and img.shape[2] != 1:
            raise UserError(
                f'RepeatGrey: img has {img.shape[2]} channels, expected 1 or {self.channels}; load '
                "it with color_type='grayscale'"
            )
        results['img'] = np.repeat(img.reshape(*img.shape[:2], 1), self.channels, axis=2)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(channels={self.channels})'
