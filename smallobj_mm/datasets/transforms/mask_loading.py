# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Loading the mask of an image of small targets."""

from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from ..masks import read_mask

_IGNORED = 255


@TRANSFORMS.register_module()
class LoadBinaryMask(BaseTransform):
    """Load a mask of any coding as 0 (background) and 1 (target).

    0/1, 0/255, palette, gray and color masks give the same map, see
    :func:`smallobj_mm.datasets.masks.read_mask`: a gray pixel belongs to a target if it is above
    half of the mask's largest value.

    For training it stands right after the image is loaded, for testing after the image is
    resized, so that the truth keeps its original size.

    Where seg_map_path is None, as for the samples of BackgroundDataset, the map is empty but for
    the pixels of ignore_boxes, which are 255.

    Required keys: seg_map_path, ori_shape, img_path (for the message).
    Optional keys: ignore_boxes, (N, 4) in px of the loaded image as x1, y1, x2, y2.
    Added keys: gt_seg_map (H, W) uint8, named in seg_fields.

    Args:
        backend_args (dict, optional): File backend; None for local files.
    """

    def __init__(self, backend_args: Optional[dict] = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Load the mask.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample with its truth.

        Raises:
            FileNotFoundError: If there is no such file.
            UserError: If it is truncated, not an image, or of another size than the image.
        """
        height, width = results['ori_shape'][:2]
        if results.get('seg_map_path') is None:
            mask = np.zeros((height, width), np.uint8)
        else:
            mask = read_mask(results['seg_map_path'], self.backend_args)
        if mask.shape != (height, width):
            raise UserError(
                f'{results["seg_map_path"]}: the mask is {mask.shape[1]}x{mask.shape[0]}, but its '
                f'image {results.get("img_path")} is {width}x{height}; expected equal sizes: '
                'replace one of them or take the pair off the list'
            )
        for x1, y1, x2, y2 in np.asarray(results.get('ignore_boxes', ())).reshape(-1, 4):
            rows = slice(max(int(np.floor(y1)), 0), max(int(np.ceil(y2)), 0))
            columns = slice(max(int(np.floor(x1)), 0), max(int(np.ceil(x2)), 0))
            mask[rows, columns] = _IGNORED
        results['gt_seg_map'] = mask
        fields = results.setdefault('seg_fields', [])
        if 'gt_seg_map' not in fields:
            fields.append('gt_seg_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'
