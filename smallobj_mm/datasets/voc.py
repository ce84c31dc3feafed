# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Pascal VOC and anything annotated in its format."""

import os.path as osp
from collections.abc import Mapping
from typing import Any, Iterable, List, Optional, Sequence, Set, Tuple, Union

from mmdet.datasets import VOCDataset

from smallobj_mm.registry import DATASETS
from smallobj_mm.utils.errors import UserError

from .base import SmallObjectDetDataset
from .files import list_files, read_id_list, read_text, strip_image_suffix
from .parsers.voc_xml import parse_voc_xml
from .records import ImageRecord, ObjectRecord

#: Lists of classes that exports put into their root, and entries of them that are no class.
_CLASS_LISTS = ('labelmap.txt', 'class_names.txt')
_NO_CLASS = ('background', '_background_', '__ignore__')


def listed_classes(data_root: str) -> Tuple[str, ...]:
    """Names of classes in ``labelmap.txt`` or ``class_names.txt``; empty if there is neither."""
    for name in _CLASS_LISTS:
        path = osp.join(data_root, name)
        if osp.isfile(path):
            lines = [line.partition('#')[0].strip() for line in read_text(path).splitlines()]
            # CVAT writes name:color:parts:actions.
            names = [line.split(':')[0].strip() for line in lines if line]
            return tuple(n for n in names if n and n.lower() not in _NO_CLASS)
    return ()


@DATASETS.register_module()
class SmallObjectVOCDataset(SmallObjectDetDataset):
    """Pascal VOC, XML as it is: floats kept, no offset of 1, no minimum size of boxes.

    The stock ``VOCDataset`` cuts coordinates to integers, subtracts 1 and ignores boxes below
    32 px, which is wrong for small objects.

    Layouts, taken from where each list lies: a list ``ROOT/ImageSets/*/NAME.txt`` belongs to
    ``ROOT/JPEGImages`` and ``ROOT/Annotations``, so that a VOCdevkit with several years and a
    flat folder both work; any other list belongs to ``data_root``. Images may have any usual
    ending. The names of the classes are those of ``labelmap.txt`` (CVAT) or ``class_names.txt``
    (labelme2voc) in ``data_root``, if one is there and ``metainfo`` has none. A missing ``<size>``
    is read from the header of the image.

    Args:
        ann_file (str | Sequence[str]): List(s) of image names, e.g.
            ``['VOC2007/ImageSets/Main/trainval.txt', 'VOC2012/ImageSets/Main/trainval.txt']``; or
            folder(s) of XML files: ``Annotations``, or one with the images beside (Roboflow).
        difficult (str): 'ignore' makes difficult objects regions to ignore (the protocol of
            VOC), 'keep' makes them ordinary objects. Defaults to 'ignore'.
        img_subdir (str): Folder of the images. Defaults to 'JPEGImages'.
        ann_subdir (str): Folder of the XML files. Defaults to 'Annotations'.
        metainfo (Mapping, optional): ``classes`` in place of those of the files or of Pascal VOC.
        data_root (str): Folder of the data set.
        **kwargs: See :class:`SmallObjectDetDataset`.

    Raises:
        UserError: If ``difficult`` is unknown or no list is given, and for malformed files.
    """

    METAINFO = dict(classes=VOCDataset.METAINFO['classes'], palette=VOCDataset.METAINFO['palette'])
    TITLE = 'Pascal VOC'
    SOURCE = 'http://host.robots.ox.ac.uk/pascal/VOC/ (VOCtrainval/VOCtest archives)'
    LAYOUTS = (
        'VOCdevkit/VOC2007/{JPEGImages,Annotations,ImageSets/Main/*.txt} (several years in one '
        'list of ann_file), {JPEGImages,Annotations,ImageSets/Main/*.txt} directly, or a folder of '
        'XML files as ann_file, with the images beside or in JPEGImages'
    )

    def __init__(
        self,
        ann_file: Union[str, Sequence[str]],
        difficult: str = 'ignore',
        img_subdir: str = 'JPEGImages',
        ann_subdir: str = 'Annotations',
        metainfo: Optional[Mapping] = None,
        data_root: str = '',
        **kwargs: Any,
    ) -> None:
        if difficult not in ('keep', 'ignore'):
            raise UserError(f"difficult is {difficult!r}, expected 'keep' or 'ignore'")
        if not ann_file:
            raise UserError(
                f'{type(self).__name__}: ann_file is empty, expected a list of image names such as '
                "'ImageSets/Main/train.txt'"
            )
        self.difficult = difficult
        self.img_subdir = img_subdir
        self.ann_subdir = ann_subdir
        if not (metainfo or {}).get('classes'):
            classes = listed_classes(data_root)
            metainfo = dict(metainfo or {}, classes=classes) if classes else metainfo
        super().__init__(ann_file=ann_file, metainfo=metainfo, data_root=data_root, **kwargs)

    def root_of(self, list_file: str) -> str:
        """Folder that holds the images and annotations of a list."""
        parts = osp.normpath(list_file).split('/')
        if 'ImageSets' in parts[:-1]:
            position = len(parts) - 1 - parts[::-1].index('ImageSets')
            return '/'.join(parts[:position]) or ('/' if list_file.startswith('/') else '.')
        return self.data_root or osp.dirname(list_file)

    def is_ignored_object(self, obj: ObjectRecord) -> bool:
        """Difficult objects, if they are to be ignored."""
        return obj.difficult and self.difficult == 'ignore'

    def iter_records(self) -> Iterable[ImageRecord]:
        """Yield the images of all lists in their order."""
        for list_file in self.ann_files:
            if not osp.exists(list_file):
                raise self.missing(list_file)
        seen: Set[Tuple[str, str]] = set()
        names: Set[str] = set()
        for list_file in self.ann_files:
            root, image_dir, ann_dir = self._folders(list_file)
            for name in self._names(list_file, ann_dir):
                if (root, name) in seen:
                    raise UserError(
                        f'{list_file}: image {name!r} is listed before, in another list of '
                        'ann_file; expected each image once'
                    )
                # Two years of a devkit may hold different images of the same name.
                prefix = osp.relpath(root, self.data_root or '.')
                img_id = f'{prefix}/{name}' if name in names else name
                seen.add((root, name))
                names.add(name)
                yield self._read(list_file, ann_dir, image_dir, name, img_id)

    def _folders(self, list_file: str) -> Tuple[str, str, str]:
        """Root, folder of the images and folder of the XML files of a list, or of a folder."""
        if not osp.isdir(list_file):
            root = self.root_of(list_file)
            return root, osp.join(root, self.img_subdir), osp.join(root, self.ann_subdir)
        folder = osp.normpath(list_file)
        root, name = osp.split(folder)
        if name == self.ann_subdir and osp.isdir(osp.join(root, self.img_subdir)):
            return root, osp.join(root, self.img_subdir), folder
        return folder, folder, folder

    @staticmethod
    def _names(list_file: str, ann_dir: str) -> List[str]:
        """Names of the images on a list, or with an XML file in a folder."""
        if not osp.isdir(list_file):
            return [strip_image_suffix(entry) for entry in read_id_list(list_file)]
        files = list_files(ann_dir, ['.xml'])
        if not files:
            raise UserError(f'{list_file}: no XML file in this folder, expected one an image')
        return [osp.splitext(osp.relpath(file, ann_dir))[0] for file in files]

    def _read(
        self, list_file: str, ann_dir: str, image_dir: str, name: str, img_id: str
    ) -> ImageRecord:
        xml_path = osp.join(ann_dir, f'{name}.xml')
        if not self.files.has(xml_path):
            raise FileNotFoundError(
                f'{list_file}: names {name!r}, but its annotation {xml_path!r} does not exist; '
                'add it or take it off the list'
            )
        annotation = parse_voc_xml(xml_path)
        hint = osp.basename(annotation.filename) if annotation.filename else None
        img_path = self.files.find_image(image_dir, name, hint)
        if img_path is None:
            if self.check_images:
                raise FileNotFoundError(
                    f'{list_file}: names {name!r}, but there is no image {name}.* (jpg, png, …) in '
                    f'{image_dir!r}; add it or take it off the list'
                )
            img_path = osp.join(image_dir, hint or f'{name}.jpg')
        return ImageRecord(xml_path, img_path, img_id, annotation.size, annotation.objects)
