# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Packing of samples with decoupled labels."""

import torch
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs

from smallobj_mm.registry import TRANSFORMS

_MAPS = ('gt_interior_map', 'gt_boundary_map')


@TRANSFORMS.register_module()
class PackIRSTDInputs(PackSegInputs):
    """Pack the image, the truth and, where they are there, the interior and the boundary map.

    The data sample has ``gt_sem_seg`` (1, H, W) int64, and ``gt_interior_map`` and
    ``gt_boundary_map`` (1, H, W) float32, all as PixelData.

    Args:
        meta_keys (Sequence[str]): What the sample's metainfo takes over where it is there;
            defaults to mmseg's.
    """

    def transform(self, results: dict) -> dict:
        """Pack a sample.

        Args:
            results (dict): The sample.

        Returns:
            dict: ``inputs``, a tensor (C, H, W), and ``data_samples``, a SegDataSample.
        """
        packed = super().transform(results)
        packed['data_samples'].set_data(
            {
                name: PixelData(data=torch.from_numpy(results[name].copy())[None].float())
                for name in _MAPS
                if name in results
            }
        )
        return packed
