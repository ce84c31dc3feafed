# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Data sets and transforms; detection needs mmdet, segmentation mmseg."""

from smallobj_mm.compat.frameworks import has_framework

from . import transforms
from .mixture import WeightedMixtureDataset
from .synthetic_files import make_synthetic_dataset
from .synthetic_irstd_files import make_synthetic_irstd

__all__ = [
    'WeightedMixtureDataset',
    'make_synthetic_dataset',
    'make_synthetic_irstd',
    'transforms',
]

if has_framework('mmcv'):
    from .label_decoupling import decouple_label
    from .transforms.loading import LoadImageStrict

    __all__ += ['LoadImageStrict', 'decouple_label']

if has_framework('mmseg'):
    from .backgrounds import BackgroundDataset
    from .collate import sync_resize_collate
    from .irstd import IRSTDDataset
    from .synthetic_irstd import SyntheticIRSTDDataset

    __all__ += [
        'BackgroundDataset',
        'IRSTDDataset',
        'SyntheticIRSTDDataset',
        'sync_resize_collate',
    ]

if has_framework('mmdet'):
    from .bosch import BoschTrafficLightsDataset
    from .coco import CocoBoxDataset
    from .coco_export import dataset_to_coco
    from .custom import CustomBoxDataset
    from .hituav import HITUAVDataset
    from .synthetic import SyntheticSmallObjectDataset
    from .voc import SmallObjectVOCDataset
    from .yolo import YOLOFolderDataset

    __all__ += [
        'BoschTrafficLightsDataset',
        'CocoBoxDataset',
        'CustomBoxDataset',
        'HITUAVDataset',
        'SmallObjectVOCDataset',
        'SyntheticSmallObjectDataset',
        'YOLOFolderDataset',
        'dataset_to_coco',
    ]

if has_framework('mmpretrain'):
    from .image_tree import ImageTreeDataset

    __all__ += ['ImageTreeDataset']
