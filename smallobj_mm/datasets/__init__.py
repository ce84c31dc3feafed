# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Data sets and transforms; the detection part is there if mmdet is installed."""

from smallobj_mm.utils.frameworks import has_framework

from . import transforms
from .synthetic_files import make_synthetic_dataset

__all__ = ['make_synthetic_dataset', 'transforms']

if has_framework('mmcv'):
    from .transforms.loading import LoadImageStrict

    __all__ += ['LoadImageStrict']

if has_framework('mmdet'):
    from .bosch import BoschTrafficLightsDataset
    from .coco_export import dataset_to_coco
    from .hituav import HITUAVDataset
    from .synthetic import SyntheticSmallObjectDataset
    from .voc import SmallObjectVOCDataset
    from .yolo import YOLOFolderDataset

    __all__ += [
        'BoschTrafficLightsDataset',
        'HITUAVDataset',
        'SmallObjectVOCDataset',
        'SyntheticSmallObjectDataset',
        'YOLOFolderDataset',
        'dataset_to_coco',
    ]
