# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Folders in YOLO layout: the rail worker set and any other."""

import os.path as osp
from collections.abc import Mapping
from typing import Any, Iterable, List, Optional, Sequence

from smallobj_mm.registry import DATASETS
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.messages import brief

from .base import SmallObjectDetDataset, class_tuple
from .coco_layouts import SPLIT_NAMES
from .files import list_images, read_id_list, read_image_size
from .parsers.yolo_txt import (
    DataYaml,
    find_class_names,
    find_data_yaml,
    label_path_of,
    parse_data_yaml,
    parse_yolo_txt,
)
from .records import ImageRecord


@DATASETS.register_module()
class YOLOFolderDataset(SmallObjectDetDataset):
    """Images with one text file each, ``class cx cy w h`` in fractions of the image.

    Layouts: ``images/SPLIT`` with ``labels/SPLIT``; ``SPLIT/images`` with ``SPLIT/labels``; images
    and labels together in ``SPLIT`` or ``obj_SPLIT_data``; or a ``data.yaml`` whose split is a
    folder of images, a text list of images, or several of them. A ``data.yaml`` in ``data_root``
    goes before the folders, where all that it names for the split is there. The split 'val' may be
    called 'valid'. An image without a label file has no objects; if no image has one, that is an
    error. Rows of polygons (segmentation) count by the boxes they span.

    The names of the classes are those of ``data.yaml``, or of ``obj.names``, ``_darknet.labels``
    or ``classes.txt``, where one of them lies in ``data_root`` or in the split's folder; without
    any they are those of the rail worker set.

    Args:
        split (str): 'train', 'val', 'test', or any other folder name where no YAML is given.
        ann_file (str): A ``data.yaml``, or empty to use the folders below ``data_root``.
        metainfo (Mapping, optional): ``classes`` in the order of their index, where no file names
            them; where one does, they must agree with it.
        data_root (str): Folder of the data set.
        **kwargs: See :class:`SmallObjectDetDataset`; images are always needed, for their sizes.

    Raises:
        FileNotFoundError: If the data set, the split or a listed image is missing.
        UserError: If files are malformed, or classes given differ from those of the YAML.
    """

    METAINFO = dict(
        classes=('vest', 'helmet', 'worker'),
        palette=[(255, 200, 0), (0, 130, 200), (220, 20, 60)],
    )
    TITLE = 'YOLO folders (rail workers)'
    SOURCE = 'your own annotation export (the rail worker images are not published)'
    LAYOUTS = (
        'images/SPLIT/*.jpg with labels/SPLIT/*.txt, SPLIT/images with SPLIT/labels, images and '
        'labels together in SPLIT/, or a data.yaml (names, path, train, val, test) as ann_file'
    )

    def __init__(
        self,
        split: str = 'train',
        ann_file: str = '',
        metainfo: Optional[Mapping] = None,
        data_root: str = '',
        **kwargs: Any,
    ) -> None:
        self.split = split
        self.data_yaml: Optional[DataYaml] = None
        self.names_its_classes = True  # a file does
        yaml_path = osp.join(data_root, ann_file) if ann_file else find_data_yaml(data_root)
        if yaml_path and osp.isfile(yaml_path):
            self.data_yaml = parse_data_yaml(yaml_path)
            metainfo = self._merge_classes(metainfo, self.data_yaml.classes, yaml_path)
        else:
            names = find_class_names(data_root, self.folders_of(data_root, split))
            self.names_its_classes = names is not None
            if names is not None:
                metainfo = self._merge_classes(metainfo, *names)
        super().__init__(ann_file=ann_file, metainfo=metainfo, data_root=data_root, **kwargs)

    @staticmethod
    def _merge_classes(metainfo: Optional[Mapping], classes: tuple, path: str) -> dict:
        given = class_tuple((metainfo or {}).get('classes')) or classes
        if given != classes:
            raise UserError(
                f'{path}: names is {brief(classes, 200)}, but metainfo has the classes '
                f'{brief(given, 200)}; leave the classes out of metainfo or make them equal'
            )
        return dict(metainfo or {}, classes=classes)

    @staticmethod
    def folders_of(data_root: str, split: str) -> List[str]:
        """Folders that may hold the images of a split."""
        names = SPLIT_NAMES.get(split, (split,))
        layouts = ('images/{}', '{}/images', '{}', 'obj_{}_data')
        return [osp.join(data_root or '.', layout.format(n)) for layout in layouts for n in names]

    def _split_images(self) -> List[str]:
        """Paths of the images of the split, sorted within each folder."""
        if self.ann_files:
            return self._yaml_images(self.ann_files[0])
        folders = self.folders_of(self.data_root, self.split)
        folder = next(filter(osp.isdir, folders), None)
        places = self._yaml_places()
        # Exports name folders of other machines, too.
        if folder is not None and (not places or None in places):
            return self._folder_images(folder)
        if self.data_yaml is None:
            raise self.missing(folders[0])
        return self._yaml_images(find_data_yaml(self.data_root) or '')

    @staticmethod
    def _folder_images(folder: str) -> List[str]:
        images = list_images(folder)
        if not images:
            raise UserError(f'{folder}: no image in this folder; expected *.jpg, *.png, …')
        return images

    def _yaml_places(self) -> List[Optional[str]]:
        """Where the entries of the split in the YAML are; None for each that is nowhere."""
        if self.data_yaml is None:
            return []
        bases = self._yaml_bases(self.data_yaml)
        return [self._locate(entry, bases) for entry in self.data_yaml.splits.get(self.split, ())]

    def _yaml_bases(self, data_yaml: DataYaml) -> List[str]:
        return [*data_yaml.roots, self.data_root or '.']

    def _yaml_images(self, path: str) -> List[str]:
        data_yaml = self.data_yaml
        if data_yaml is None:
            raise self.missing(path)
        if self.split not in data_yaml.splits:
            raise UserError(f'{path}: no split {self.split!r}, found {sorted(data_yaml.splits)}')
        bases = self._yaml_bases(data_yaml)
        images: List[str] = []
        for entry, place in zip(data_yaml.splits[self.split], self._yaml_places()):
            if place is None:
                raise self.missing(osp.join(data_yaml.roots[0], entry))
            is_folder = osp.isdir(place)
            images.extend(self._folder_images(place) if is_folder else self._list(place, bases))
        return images

    @staticmethod
    def _locate(entry: str, bases: Sequence[str]) -> Optional[str]:
        """Folder or list of a split, also where exports write '../' too much."""
        plain = entry
        while plain.startswith('../'):
            plain = plain[3:]
        candidates = [osp.join(base, name) for name in (entry, plain) for base in bases]
        return next((osp.normpath(path) for path in candidates if osp.exists(path)), None)

    def _list(self, list_file: str, bases: Sequence[str]) -> List[str]:
        images = []
        bases = [osp.dirname(list_file), *bases]
        for entry in read_id_list(list_file):
            candidates = [osp.normpath(osp.join(base, entry)) for base in bases]
            image = next((path for path in candidates if self.files.has(path)), None)
            if image is None:
                raise FileNotFoundError(
                    f'{list_file}: names {entry!r}, which does not exist (looked for '
                    f'{candidates[0]!r}); add it or take it off the list'
                )
            images.append(image)
        return images

    def iter_records(self) -> Iterable[ImageRecord]:
        """Yield the images of the split."""
        images = self._split_images()
        classes = self._metainfo['classes']
        root = osp.abspath(self.data_root or '.')
        keypoints = self.data_yaml is not None and self.data_yaml.keypoints
        labeled = 0
        for img_path in images:
            size = read_image_size(img_path)
            label_path = label_path_of(img_path)
            objects = []
            if self.files.has(label_path):
                labeled += 1
                objects = parse_yolo_txt(label_path, classes, size, keypoints)
            img_id = osp.relpath(osp.abspath(img_path), root)
            yield ImageRecord(label_path, img_path, img_id, size, objects)
        if not labeled:
            raise FileNotFoundError(
                f'{self.TITLE}: none of the {len(images)} images of split {self.split!r} has a '
                f'label file (looked for {label_path_of(images[0])!r}, …); layouts understood: '
                f'{self.LAYOUTS}'
            )
