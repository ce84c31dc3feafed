# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Boxes in COCO JSON, as it comes from annotation programs."""

import logging
import os.path as osp
from collections.abc import Mapping
from typing import Any, Iterable, List, Optional, Sequence, Set, Union

from mmengine.logging import print_log

from smallobj_mm.registry import DATASETS
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.messages import brief

from .base import SmallObjectDetDataset, class_tuple
from .coco_layouts import LAYOUTS, find_coco_json, image_folders
from .parsers.coco_json import parse_coco_json, read_coco_classes
from .records import ImageRecord, ObjectRecord


@DATASETS.register_module()
class CocoBoxDataset(SmallObjectDetDataset):
    """COCO JSON as it is, with the classes of the file; sizes of boxes are not limited.

    The stock ``CocoDataset`` wants the classes in the config, leaves out boxes below 1 px, and
    gives an empty training set where the classes are named otherwise. Here the classes are the
    categories of the file in the order of their ids, unless ``metainfo`` has others: those are
    matched by name, so that a validation file may number them otherwise.

    Exports are read where they lie: COCO's own folders, Roboflow (``train/`` with
    ``_annotations.coco.json`` beside the images), CVAT (``annotations/instances_default.json``),
    labelme2coco (``annotations.json``), ``SPLIT.json`` beside ``SPLIT/``. Crowds (``iscrowd``)
    and annotations with ``ignore`` are regions to ignore; ``segmentation`` is not read unless
    ``bbox`` is missing. ``img_id`` is the id of the file.

    Args:
        ann_file (str | Sequence[str]): COCO file(s), absolute or below ``data_root``; '' for the
            one of ``split``.
        split (str): 'train', 'val', 'test' or another, to find the file where ``ann_file`` is ''.
        img_dir (str, optional): Folder of the images below ``data_root``; None to look where
            exports put them.
        metainfo (Mapping, optional): ``classes`` in place of those of the file.
        data_root (str): Folder of the data set.
        **kwargs: See :class:`SmallObjectDetDataset`.

    Raises:
        FileNotFoundError: If the file or a listed image is missing.
        UserError: If the file is malformed, see
            :func:`~smallobj_mm.datasets.parsers.coco_json.parse_coco_json`.
    """

    METAINFO = dict(classes=())
    TITLE = 'COCO JSON'
    SOURCE = 'your own annotations'
    LAYOUTS = LAYOUTS
    classes_by_name = True

    def __init__(
        self,
        ann_file: Union[str, Sequence[str]] = '',
        split: str = 'train',
        img_dir: Optional[str] = None,
        metainfo: Optional[Mapping] = None,
        data_root: str = '',
        **kwargs: Any,
    ) -> None:
        self.split = split
        self.img_dir = img_dir
        if not ann_file:
            ann_file = find_coco_json(data_root, split) or ''
        given = class_tuple((metainfo or {}).get('classes'))
        names = [ann_file] if isinstance(ann_file, str) else list(ann_file)
        paths = [osp.join(data_root, name) for name in names]
        if not given and all(map(osp.isfile, paths)):
            given = self._classes_of(paths)
            metainfo = dict(metainfo or {}, classes=given)
        super().__init__(ann_file=ann_file, metainfo=metainfo, data_root=data_root, **kwargs)

    @staticmethod
    def _classes_of(paths: Sequence[str]) -> tuple:
        """The classes of the files, which must be the same."""
        first = read_coco_classes(paths[0])
        for path in paths[1:]:
            names = read_coco_classes(path)
            if set(names) != set(first):
                raise UserError(
                    f'{path}: has the categories {brief(names)}, but {paths[0]} has '
                    f'{brief(first)}; name the classes in metainfo'
                )
        return first

    def is_ignored_object(self, obj: ObjectRecord) -> bool:
        """Crowds and what is marked ``ignore``."""
        return obj.difficult

    def load_data_list(self) -> List[dict]:
        """Read all annotations; see the base class."""
        if not self.ann_files or not all(map(osp.isfile, self.ann_files)):
            looked_for = next((p for p in self.ann_files if not osp.isfile(p)), None)
            raise self.missing(looked_for or f'a COCO file of split {self.split!r}')
        return super().load_data_list()

    def iter_records(self) -> Iterable[ImageRecord]:
        """Yield the images of all files in their order."""
        seen: Set[Union[int, str]] = set()
        for ann_file in self.ann_files:
            content = parse_coco_json(ann_file)
            if content.orphans:
                print_log(
                    f'{ann_file}: {content.orphans} annotations of images that it does not list '
                    'were left out',
                    logger='current',
                    level=logging.WARNING,
                )
            folders = image_folders(ann_file, self.data_root or '', self.img_dir)
            for image in content.images:
                source = f'{ann_file}, image {image.id!r}'
                # Several files number their images each from 1.
                img_id = image.id if image.id not in seen else f'{ann_file}:{image.id}'
                seen.add(image.id)
                path = self._find(image.file_name, folders, source)
                yield ImageRecord(source, path, img_id, image.size, image.objects)

    def _find(self, name: str, folders: List[str], source: str) -> str:
        """Path of an image; the folder that has it becomes the first to be looked at."""
        written = osp.basename(name) if osp.isabs(name) and not self.files.has(name) else name
        for position, folder in enumerate(folders):
            path = osp.normpath(osp.join(folder, written))
            if self.files.has(path):
                folders.insert(0, folders.pop(position))
                return path
        if not self.check_images:
            return osp.normpath(osp.join(folders[0], written))
        places = ', '.join(repr(folder or '.') for folder in folders[:4])
        raise FileNotFoundError(
            f'{source}: its image {brief(name)} does not exist (looked in {places}); add it, take '
            'it off the file, or give img_dir, the folder of the images'
        )
