# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Label decoupling as a step of a data pipeline."""

import logging
from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from ..label_decoupling import decouple_label, resolve_options

__all__ = ['LabelDecoupling', 'decouple_label']


@TRANSFORMS.register_module()
class LabelDecoupling(BaseTransform):
    """Make the interior and the boundary map from the truth, as it is after all geometry.

    Required keys: gt_seg_map (H, W): 0 background, 1 target, 255 ignored.
    Added keys: gt_interior_map, gt_boundary_map (H, W) float32 in [0, 1], named in seg_fields.
    Ignored pixels are 0 in both.

    Args:
        mode (str): 'authors', 'exact' or 'none', see :func:`decouple_label`. Defaults to 'authors'.
        blur (bool, optional): Instead of the mode's.
        per_target (bool, optional): Instead of the mode's.
        ignore_index (int, optional): Value of ignored pixels. None if there are none, as for a
            map coded 0/255 by another loader than LoadBinaryMask. Defaults to 255.

    Raises:
        UserError: If the mode is unknown.
    """

    _warned = False

    def __init__(
        self,
        mode: str = 'authors',
        blur: Optional[bool] = None,
        per_target: Optional[bool] = None,
        ignore_index: Optional[int] = 255,
    ) -> None:
        self.mode = mode
        self.blur, self.per_target = resolve_options(mode, blur, per_target)
        self.ignore_index = ignore_index

    def transform(self, results: dict) -> dict:
        """Add the two maps.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample with its maps.

        Raises:
            UserError: If there is no gt_seg_map.
        """
        if 'gt_seg_map' not in results:
            raise UserError('LabelDecoupling: no gt_seg_map; put LoadBinaryMask before it')
        truth = results['gt_seg_map']
        interior, boundary = decouple_label(
            truth,
            self.mode,
            blur=self.blur,
            per_target=self.per_target,
            ignore_index=self.ignore_index,
        )
        # Pictures without a mask file have the path None: what they ignore is meant so.
        path = results.get('seg_map_path', 'unknown')
        ignoring = path is not None and self.ignore_index is not None
        if not LabelDecoupling._warned and ignoring and not interior.any():
            self._warn_if_all_ignored(truth, path)
        fields = results.setdefault('seg_fields', [])
        for name, value in (('gt_interior_map', interior), ('gt_boundary_map', boundary)):
            results[name] = value
            if name not in fields:
                fields.append(name)
        return results

    def _warn_if_all_ignored(self, truth: np.ndarray, path: Optional[str]) -> None:
        """Say once that a mask coded 0/255 may have been loaded without making it 0/1."""
        if (truth == self.ignore_index).any():
            LabelDecoupling._warned = True
            print_log(
                f'LabelDecoupling: gt_seg_map of {path!r} has ignored pixels '
                f'({self.ignore_index}) but no target; if it is a mask coded 0/255, load it with '
                'LoadBinaryMask or set ignore_index=None',
                logger='current',
                level=logging.WARNING,
            )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(blur={self.blur}, per_target={self.per_target}, '
            f'ignore_index={self.ignore_index})'
        )
