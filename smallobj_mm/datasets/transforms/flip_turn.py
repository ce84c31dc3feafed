# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""One of the eight views of an image that flips and quarter turns make."""

from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

#: Direction of a flip -> axes of an array (H, W, ...) that it reverses.
FLIPPED_AXES = {None: (), 'horizontal': (1,), 'vertical': (0,), 'diagonal': (0, 1)}


@TRANSFORMS.register_module()
class FlipTurn(BaseTransform):
    """Flip and turn the image of a segmentation sample, for test-time augmentation.

    mmseg undoes neither turns nor flips in both directions; ``ProbabilityTTAModel`` does, by the
    ``tta_view`` that this transform leaves. The last step of the pipeline has to keep it:
    ``meta_keys=(..., 'tta_view')``. The truth stays as it is, so it is loaded before the views.

    Required keys: img, ori_shape.
    Modified keys: img, img_shape, ori_shape, and scale_factor and pad_shape where they are there.
    Added keys: tta_view, the tuple (direction, turns).

    Args:
        direction (str, optional): 'horizontal', 'vertical' or 'diagonal' (both); None for no flip.
        turns (int): Quarter turns, counter-clockwise, after the flip. Defaults to 0.

    Raises:
        UserError: If an argument is none of these.
    """

    def __init__(self, direction: Optional[str] = None, turns: int = 0) -> None:
        if direction not in FLIPPED_AXES or turns not in range(4):
            raise UserError(
                f'FlipTurn: direction is {direction!r} and turns {turns}, expected None, '
                "'horizontal', 'vertical' or 'diagonal', and 0 to 3"
            )
        self.direction = direction
        self.turns = turns

    def transform(self, results: dict) -> dict:
        """Make the view.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample with its image flipped and turned.
        """
        image = np.rot90(np.flip(results['img'], FLIPPED_AXES[self.direction]), self.turns)
        results['img'] = np.ascontiguousarray(image)
        results['img_shape'] = image.shape[:2]
        if self.turns % 2:
            for key in ('ori_shape', 'scale_factor', 'pad_shape'):
                if results.get(key) is not None:
                    results[key] = tuple(results[key][:2])[::-1]
        results['tta_view'] = (self.direction, self.turns)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(direction={self.direction!r}, turns={self.turns})'
