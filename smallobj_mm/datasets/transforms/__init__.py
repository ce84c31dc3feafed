# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Transforms for data pipelines.

Loading needs mmcv; the others use mmdet's boxes or mmseg's data samples. Each part is registered
where that is installed.
"""

from importlib.util import find_spec

__all__ = []

if find_spec('mmcv') is not None:
    from .caching import CachedTransforms, RepeatGrey
    from .clutter import RandomClutter
    from .crops import RandomEdgeCrop, TargetAwareCrop
    from .flip_turn import FlipTurn
    from .ir_degradations import (
        RandomDefocus,
        RandomFixedPattern,
        RandomSensorNoise,
        RandomVignetting,
    )
    from .ir_levels import RandomBitDepth, RandomIRIntensity, RandomJPEG, RandomPolarity
    from .label_decoupling import LabelDecoupling
    from .loading import LoadImageStrict
    from .mask_loading import LoadBinaryMask
    from .photometric import RandomGammaNoise
    from .rotate import RandomRot90
    from .synthetic_targets import SyntheticTargets
    from .target_copy_paste import TargetCopyPaste
    from .target_scale import RandomTargetScale, ScaledTargetCrop

    __all__ += [
        'CachedTransforms',
        'FlipTurn',
        'LabelDecoupling',
        'LoadBinaryMask',
        'LoadImageStrict',
        'RandomBitDepth',
        'RandomClutter',
        'RandomDefocus',
        'RandomEdgeCrop',
        'RandomFixedPattern',
        'RandomGammaNoise',
        'RandomIRIntensity',
        'RandomJPEG',
        'RandomPolarity',
        'RandomRot90',
        'RandomSensorNoise',
        'RandomTargetScale',
        'RandomVignetting',
        'RepeatGrey',
        'ScaledTargetCrop',
        'SyntheticTargets',
        'TargetAwareCrop',
        'TargetCopyPaste',
    ]

if find_spec('mmseg') is not None:
    from .packing import PackIRSTDInputs

    __all__ += ['PackIRSTDInputs']

if find_spec('mmdet') is not None:
    from .affine import MosaicAffine
    from .box_filter import SmallBoxFilter
    from .copy_paste import BoxCopyPaste
    from .hsv import MultiplicativeHSV
    from .mixup import BetaMixUp
    from .mosaic import SmallObjectMosaic
    from .object_crop import ObjectCenteredCrop

    __all__ += [
        'BetaMixUp',
        'BoxCopyPaste',
        'MosaicAffine',
        'MultiplicativeHSV',
        'ObjectCenteredCrop',
        'SmallBoxFilter',
        'SmallObjectMosaic',
    ]

if find_spec('mmpretrain') is not None:
    from .view_wrappers import AugmentedViews, LocalCrops, PackViews
    from .views import (
        RecordedBlur,
        RecordedColorJitter,
        RecordedCrop,
        RecordedFlip,
        RecordedGrayscale,
        RecordedRotation,
        RecordedSolarize,
    )

    __all__ += [
        'AugmentedViews',
        'LocalCrops',
        'PackViews',
        'RecordedBlur',
        'RecordedColorJitter',
        'RecordedCrop',
        'RecordedFlip',
        'RecordedGrayscale',
        'RecordedRotation',
        'RecordedSolarize',
    ]
