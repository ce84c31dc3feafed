# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""HIT-UAV: thermal images from a drone, with regions to ignore."""

from typing import Any, Sequence, Union

from smallobj_mm.registry import DATASETS

from .records import ObjectRecord
from .voc import SmallObjectVOCDataset

#: Labels of regions to ignore, without case and spacing.
IGNORE_LABELS = ('dontcare', 'ignore')


def is_region_label(label: str) -> bool:
    """Whether a label is that of regions to ignore: ``DontCare``, ``don't care``, ``ignore``."""
    return _key(label) in IGNORE_LABELS


def _key(name: str) -> str:
    """'OtherVehicle', 'other vehicle' and 'other_vehicle' are the same name."""
    return ''.join(letter for letter in name.lower() if letter.isalnum())


@DATASETS.register_module()
class HITUAVDataset(SmallObjectVOCDataset):
    """HIT-UAV (Suo et al., Scientific Data 10, 227, 2023): 640x512 thermal images from a drone.

    Labels match the classes whatever their case and spacing (``OtherVehicle`` is 'other vehicle').
    ``DontCare`` boxes, and ones called ``ignore``, become regions to ignore for every class.
    Difficult objects are kept by default: here the mark stands for small or occluded ones.

    Args:
        ann_file (str | Sequence[str]): List(s) of image names below ``ImageSets/Main``.
        difficult (str): 'keep' or 'ignore'. Defaults to 'keep'.
        **kwargs: See :class:`SmallObjectVOCDataset`.
    """

    METAINFO = dict(
        classes=('person', 'car', 'bicycle', 'other vehicle'),
        palette=[(220, 20, 60), (0, 130, 200), (60, 180, 75), (255, 200, 0)],
    )
    TITLE = 'HIT-UAV'
    SOURCE = 'https://github.com/suojiashun/HIT-UAV-Infrared-Thermal-Dataset'
    LAYOUTS = (
        'Pascal VOC as published in normal_xml: {JPEGImages,Annotations,ImageSets/Main/*.txt} '
        '(set data_root to that folder; its JSON and rotated boxes are not read)'
    )

    def __init__(
        self, ann_file: Union[str, Sequence[str]], difficult: str = 'keep', **kwargs: Any
    ) -> None:
        super().__init__(ann_file=ann_file, difficult=difficult, **kwargs)

    def canonical_label(self, label: str) -> str:
        """The class whose name equals the label but for case and spacing."""
        key = _key(label)
        return next((name for name in self._metainfo['classes'] if _key(name) == key), label)

    def is_ignore_region(self, obj: ObjectRecord) -> bool:
        """``DontCare`` boxes."""
        return is_region_label(obj.label)
