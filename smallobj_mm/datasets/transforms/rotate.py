# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Quarter turns of images and label maps."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError


@TRANSFORMS.register_module()
class RandomRot90(BaseTransform):
    """Turn the image and the maps in seg_fields by 90, 180 or 270 degrees.

    Required keys: img, seg_fields with the maps that it names.
    Modified keys: img, the maps, img_shape.

    Args:
        prob (float): Probability of a turn; the three are equally likely. Defaults to 0.75, at
            which all four orientations are equally likely.

    Raises:
        UserError: If ``prob`` is not between 0 and 1.
    """

    def __init__(self, prob: float = 0.75) -> None:
        if not 0 <= prob <= 1:
            raise UserError(f'RandomRot90: prob is {prob}, expected 0 to 1')
        self.prob = prob

    @cache_randomness
    def _turns(self) -> int:
        """Number of quarter turns."""
        turns = int(np.random.randint(1, 4))
        return turns if np.random.rand() < self.prob else 0

    def transform(self, results: dict) -> dict:
        """Turn the sample.

        Args:
            results (dict): The sample.

        Returns:
            dict: The turned sample.
        """
        turns = self._turns()
        if turns:
            for key in ('img', *results.get('seg_fields', [])):
                if results.get(key) is not None:
                    results[key] = np.ascontiguousarray(np.rot90(results[key], turns))
            results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'
