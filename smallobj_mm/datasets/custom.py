# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Boxes of your own, whichever format they lie in a folder in."""

from __future__ import annotations

import functools
import os.path as osp
from collections.abc import Iterable, Mapping
from typing import Any

from smallobj_mm.registry import DATASETS
from smallobj_mm.utils.errors import UserError

from .base import SmallObjectDetDataset, class_tuple
from .coco import CocoBoxDataset
from .coco_layouts import SPLIT_NAMES, find_coco_json
from .files import list_files, list_images, read_id_list, strip_image_suffix
from .hituav import HITUAVDataset, is_region_label
from .parsers.voc_xml import parse_voc_xml
from .parsers.yolo_txt import find_data_yaml, label_path_of
from .records import ImageRecord, ObjectRecord
from .voc import SmallObjectVOCDataset, listed_classes
from .yolo import YOLOFolderDataset


@DATASETS.register_module()
class CustomBoxDataset(SmallObjectDetDataset):
    """A folder of labeled images in COCO JSON, Pascal VOC or YOLO's layout, found by looking.

    What is there decides: a COCO file of the split, a list of Pascal VOC or a folder of XML files,
    then text files of YOLO. The readers are :class:`CocoBoxDataset`,
    :class:`SmallObjectVOCDataset` and :class:`YOLOFolderDataset`, see there for the layouts. The
    names of the classes are those of the files; where Pascal VOC lists none, those of the objects
    of the training split in alphabetical order. Objects marked difficult count, boxes called
    DontCare or ignore are regions to ignore.

    Args:
        split: 'train', 'val' (also called valid or validation), 'test', or another name.
        ann_file: Below ``data_root``, in place of what is found: a COCO file (.json), a list of
            Pascal VOC (.txt) or a folder of its XML files, or a ``data.yaml``.
        metainfo: ``classes`` in place of those of the files.
        data_root: Folder of the data set.
        check_images: See :class:`SmallObjectDetDataset`.
        **kwargs: See :class:`SmallObjectDetDataset`.

    Raises:
        FileNotFoundError: There are no labels of the split.
        UserError: Labels are malformed, or nothing says what the classes of YOLO's files are.
    """

    METAINFO = dict(classes=())
    TITLE = 'boxes of your own'
    SOURCE = 'your own annotations'
    LAYOUTS = (
        'COCO JSON (annotations/instances_SPLIT.json, SPLIT.json, SPLIT/_annotations.coco.json), '
        'Pascal VOC (ImageSets/Main/SPLIT.txt, XML files in SPLIT/ or Annotations/), '
        'YOLO (data.yaml, images/SPLIT with labels/SPLIT, SPLIT/images with SPLIT/labels)'
    )

    def __init__(
        self,
        split: str = 'train',
        ann_file: str = '',
        metainfo: Mapping | None = None,
        data_root: str = '',
        check_images: bool = True,
        **kwargs: Any,
    ) -> None:
        self.split = split
        self.reader = open_split(data_root, split, ann_file, metainfo, check_images)
        if self.reader is not None:
            self.classes_by_name = self.reader.classes_by_name
            metainfo = dict(metainfo or {}, classes=self.reader.metainfo['classes'])
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            check_images=check_images,
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """Read all annotations; see the base class."""
        if self.reader is None:
            raise self.missing(str(self.ann_file) or f'labels of {self.split}')
        data_list = super().load_data_list()
        self.reader = None  # its listings of folders are not needed any more
        return data_list

    def iter_records(self) -> Iterable[ImageRecord]:
        """Yield the images as the format's own data set does."""
        return self.reader.iter_records()

    def canonical_label(self, label: str) -> str:
        """As the format's own data set has it, like the two below."""
        return self.reader.canonical_label(label)

    def is_ignore_region(self, obj: ObjectRecord) -> bool:
        """Whether the object marks a region to ignore."""
        return self.reader.is_ignore_region(obj)

    def is_ignored_object(self, obj: ObjectRecord) -> bool:
        """Whether the object is neither object nor background."""
        return self.reader.is_ignored_object(obj)


def open_split(
    data_root: str, split: str, ann_file: str, metainfo: Mapping | None, check_images: bool
) -> Any:
    """The data set of the format that is there, its annotations not yet read; None if none is."""
    if ann_file:
        path = osp.join(data_root, ann_file)
        if not osp.exists(path):
            return None
        kind = 'yolo' if path.endswith(('.yaml', '.yml')) else 'voc'
        kind = 'coco' if path.endswith('.json') else kind
    else:
        kind, ann_file = find_labels(data_root, split)
    options: dict[str, Any] = dict(
        ann_file=ann_file, metainfo=metainfo, data_root=data_root, check_images=check_images,
        lazy_init=True,
    )  # fmt: skip
    given = class_tuple((metainfo or {}).get('classes'))
    if kind == 'coco':
        return CocoBoxDataset(split=split, **options)
    if kind == 'yolo':
        dataset = YOLOFolderDataset(split=split, **options)
        if not (given or dataset.names_its_classes):
            raise UserError(
                f'{data_root}: no file names the classes of its labels, expected data.yaml, '
                "obj.names or classes.txt; or give classes=['...'] in the order of their numbers"
            )
        return dataset
    if kind == 'voc':
        train_kind, train_file = find_labels(data_root, 'train')
        class_file = train_file if split != 'train' and train_kind == 'voc' else ann_file
        return open_voc(data_root, ann_file, (class_file,), options)
    return None


def find_labels(data_root: str, split: str) -> tuple[str, str]:
    """Format of a split's labels ('coco', 'voc', 'yolo', '') and their file or folder, if any."""
    coco = find_coco_json(data_root, split)
    if coco is not None:
        return 'coco', coco
    names = SPLIT_NAMES.get(split, (split,))
    places = [f'ImageSets/Main/{name}.txt' for name in names]
    places += [folder for name in names for folder in (f'{name}/Annotations', name)]
    if split == 'train':  # exports without splits: CVAT's, labelme2voc's
        places += ['ImageSets/Main/default.txt', 'Annotations']
    for place in places:
        path = osp.join(data_root, place)
        if osp.isfile(path) or (osp.isdir(path) and list_files(path, ['.xml'])):
            return 'voc', place
    if find_data_yaml(data_root) is not None:
        return 'yolo', ''
    for folder in YOLOFolderDataset.folders_of(data_root, split):
        if osp.isdir(folder) and any(map(osp.isfile, map(label_path_of, list_images(folder)))):
            return 'yolo', ''
    return '', ''


def open_voc(
    data_root: str, ann_file: str, class_files: tuple[str, ...], options: Mapping
) -> SmallObjectVOCDataset:
    """A data set in Pascal VOC's layout whose classes are those that its objects have.

    Args:
        data_root: Its folder.
        ann_file: List or folder of XML files, below ``data_root``.
        class_files: Lists or folders whose objects have the classes.
        options: Of :class:`SmallObjectVOCDataset`; classes in ``metainfo`` are kept.
    """
    options = dict(options, ann_file=ann_file, data_root=data_root, difficult='keep')
    metainfo = dict(options.get('metainfo') or {})
    labels = {label for file in class_files for label in find_names(data_root, file)}
    own = tuple(sorted(label for label in labels if not is_region_label(label)))
    # Regions may be in the split itself alone.
    regions = any(map(is_region_label, labels | find_names(data_root, ann_file)))
    if own and not class_tuple(metainfo.get('classes')) and not listed_classes(data_root):
        options['metainfo'] = dict(metainfo, classes=own)
    return (HITUAVDataset if regions else SmallObjectVOCDataset)(**options)


@functools.lru_cache(maxsize=8)  # a run opens its data sets twice: for the classes, and to read
def find_names(data_root: str, ann_file: str) -> frozenset[str]:
    """The labels that objects in the XML files of a list or folder have."""
    path = osp.join(data_root, ann_file)
    if osp.isdir(path):
        files = list_files(path, ['.xml'])
    else:
        names = map(strip_image_suffix, read_id_list(path))
        files = [osp.join(data_root, 'Annotations', f'{name}.xml') for name in names]
    return frozenset(obj.label for file in files for obj in parse_voc_xml(file).objects)
