# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the detection data sets of this package share: labels, box checks, filtering."""

import colorsys
import os.path as osp
from collections.abc import Mapping
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Union

import numpy as np
from mmdet.datasets import BaseDetDataset

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.messages import brief

from .boxes import BoxReport
from .files import DirectoryIndex, missing_data_error, read_id_list, read_image_size
from .records import ImageRecord, ObjectRecord

_FILTER_KEYS = ('filter_empty_gt', 'min_size')


def class_tuple(classes: Union[None, str, Sequence[str]]) -> Tuple[str, ...]:
    """The names of classes as a tuple, one name alone included; empty for None.

    Args:
        classes (str | Sequence[str], optional): Names, a name, or a text file with one a line.

    Raises:
        UserError: If a name is no text, empty or there twice.
    """
    if isinstance(classes, str):
        is_list = classes.endswith('.txt') and osp.isfile(classes)
        classes = read_id_list(classes) if is_list else (classes,)
    names = tuple(classes or ())
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise UserError(f'classes are {brief(names)}, expected names')
    if len(set(names)) != len(names):
        raise UserError(f'classes are {brief(names)}, expected each name once')
    return names


def _with_palette(metainfo: Optional[Mapping]) -> Optional[dict]:
    """Give classes that come without colors as many distinct ones as there are classes."""
    if not metainfo:
        return None
    metainfo = dict(metainfo)
    classes = class_tuple(metainfo.pop('classes', None))
    if classes:
        metainfo['classes'] = classes
    if classes and 'palette' not in metainfo:
        hues = [index / len(classes) for index in range(len(classes))]
        colors = [colorsys.hsv_to_rgb(hue, 0.8, 0.95) for hue in hues]
        metainfo['palette'] = [tuple(round(255 * value) for value in c) for c in colors]
    return metainfo


class SmallObjectDetDataset(BaseDetDataset):
    """Base of the detection data sets: a subclass only yields :class:`ImageRecord`.

    An instance is ``dict(bbox=[x1, y1, x2, y2], bbox_label=int, ignore_flag=0 or 1)`` in px,
    floats as the files have them, without offset and without a minimum size. Regions to ignore
    have ``ignore_flag=1``; those that belong to no class in particular also have
    ``any_class=True`` and ``bbox_label=0``. Boxes are clipped to the image; inverted ones, ones of
    zero area and ones outside the image are dropped with one counted warning.

    Args:
        ann_file (str | Sequence[str]): Annotation or list file(s), absolute or below
            ``data_root``; see the subclass.
        metainfo (Mapping, optional): ``classes`` (and ``palette``) in place of the data set's own.
        data_root (str): Folder of the data set.
        filter_cfg (dict, optional): ``filter_empty_gt`` (bool) leaves out images without objects,
            ``min_size`` (px) images with a shorter side. Only in training. Defaults to None.
        indices (int | Sequence[int], optional): Only the first n, or these images.
        serialize_data (bool): Hold the annotations serialized, shared by the workers.
        pipeline (Sequence[dict | Callable]): Transforms.
        test_mode (bool): Whether the data set is used for evaluation.
        lazy_init (bool): Read the annotations at first use only.
        max_refetch (int): How often another image is tried if a transform returns None.
        strict (bool): Raise an error at the first inverted, empty or outside box instead of
            dropping it. Defaults to False.
        unknown_labels (str): What happens to an object whose label is not among the classes:
            'error', 'drop' (with a counted warning) or 'ignore' (a region to ignore).
        check_images (bool): Check that each image of the list exists. False reads the labels
            alone, for instance to fit anchors without the images. Defaults to True.

    Raises:
        FileNotFoundError: If the data set, a listed image or an annotation file is missing.
        UserError: If the annotations are malformed, a list is empty, or an option is unknown.
    """

    #: Name, origin and layouts for the error that says that the data are missing.
    TITLE = 'data set'
    SOURCE = 'its publisher'
    LAYOUTS = ''

    ann_file: Union[str, List[str]]
    #: Whether files name the classes of their objects, so that their order does not matter.
    classes_by_name = False
    #: What was clipped and dropped when the annotations were read.
    box_report: Optional[BoxReport] = None

    def __init__(
        self,
        ann_file: Union[str, Sequence[str]] = '',
        metainfo: Optional[Mapping] = None,
        data_root: str = '',
        filter_cfg: Optional[dict] = None,
        indices: Optional[Union[int, Sequence[int]]] = None,
        serialize_data: bool = True,
        pipeline: Sequence[Union[dict, Callable]] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
        strict: bool = False,
        unknown_labels: str = 'error',
        check_images: bool = True,
    ) -> None:
        if unknown_labels not in ('error', 'drop', 'ignore'):
            raise UserError(
                f"unknown_labels is {unknown_labels!r}, expected 'error', 'drop' or 'ignore'"
            )
        unknown = sorted(set(filter_cfg or {}) - set(_FILTER_KEYS))
        if unknown:
            raise UserError(
                f'filter_cfg has {unknown}, expected keys among {_FILTER_KEYS}: objects are never '
                'filtered by size here, small ones are the point'
            )
        self.strict = strict
        self.unknown_labels = unknown_labels
        self.check_images = check_images
        self.files = DirectoryIndex()
        super().__init__(
            ann_file=ann_file,
            metainfo=_with_palette(metainfo),
            data_root=data_root,
            filter_cfg=filter_cfg,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def _join_prefix(self) -> None:
        """Join ``ann_file`` (one or several) with ``data_root``; there is no data prefix."""
        root = self.data_root or ''
        if isinstance(self.ann_file, str):
            self.ann_file = osp.join(root, self.ann_file) if self.ann_file else ''
        else:
            self.ann_file = [osp.join(root, name) for name in self.ann_file]

    @property
    def ann_files(self) -> List[str]:
        """The annotation or list files, joined with ``data_root``."""
        if isinstance(self.ann_file, str):
            return [self.ann_file] if self.ann_file else []
        return list(self.ann_file)

    def missing(self, looked_for: str) -> FileNotFoundError:
        """The error that says that the data set is not there."""
        return missing_data_error(
            self.TITLE, looked_for, self.data_root or '', self.SOURCE, self.LAYOUTS
        )

    def iter_records(self) -> Iterable[ImageRecord]:
        """Yield the images of the data set with their annotations, as the files have them."""
        raise NotImplementedError(f'{type(self).__name__} must implement iter_records')

    def canonical_label(self, label: str) -> str:
        """The class name for a label of the files; a subclass may merge or rename labels."""
        return label

    def is_ignore_region(self, obj: ObjectRecord) -> bool:
        """Whether the object marks a region to ignore that belongs to no class in particular."""
        return False

    def is_ignored_object(self, obj: ObjectRecord) -> bool:
        """Whether the object has a class but is neither object nor background."""
        return False

    def get_cat_ids(self, idx: int) -> List[int]:
        """Class of each object of an image, as ``ClassBalancedDataset`` asks for them.

        Regions to ignore and ignored objects do not count: an image of nothing else has no class.
        """
        instances = self.get_data_info(idx)['instances']
        return [one['bbox_label'] for one in instances if not one['ignore_flag']]

    def load_data_list(self) -> List[dict]:
        """Read all annotations.

        Returns:
            list[dict]: Per image img_id, img_path, height, width (px) and instances.
        """
        classes = self._metainfo.get('classes')
        if not classes:
            raise UserError(f'{type(self).__name__}: no classes in metainfo, expected their names')
        label_of = {name: index for index, name in enumerate(classes)}
        report = BoxReport(f'{type(self).__name__} ({self.TITLE})', strict=self.strict)
        data_list = [self._to_data_info(r, label_of, report) for r in self.iter_records()]
        if not data_list:
            raise UserError(
                f'{type(self).__name__}: no image in {self.ann_file or self.data_root!r}; expected '
                'at least one'
            )
        report.log()
        self.box_report = report
        # The listings are not needed any more; workers get a copy of the data set.
        self.files = DirectoryIndex()
        return data_list

    def _to_data_info(
        self, record: ImageRecord, label_of: Dict[str, int], report: BoxReport
    ) -> dict:
        if self.check_images and not self.files.has(record.img_path):
            raise FileNotFoundError(
                f'{record.source}: its image {record.img_path!r} does not exist; add it or take '
                'it off the list'
            )
        width, height = record.size or read_image_size(record.img_path)
        resolved = []
        for number, obj in enumerate(record.objects, start=1):
            entry = self._resolve(obj, label_of, record.source, number, report)
            if entry is not None:
                resolved.append((obj, *entry))
        raw_boxes = np.array([obj.box for obj, *_ in resolved], dtype=np.float64)
        boxes, usable = report.check(raw_boxes, width, height, record.source)
        instances = []
        for (_, label, ignored, any_class), box, keep in zip(resolved, boxes.tolist(), usable):
            if keep:
                instance = dict(bbox=box, bbox_label=label, ignore_flag=int(ignored))
                if any_class:
                    instance['any_class'] = True
                instances.append(instance)
        return dict(
            img_id=record.img_id,
            img_path=record.img_path,
            height=height,
            width=width,
            instances=instances,
        )

    def _resolve(
        self,
        obj: ObjectRecord,
        label_of: Dict[str, int],
        source: str,
        number: int,
        report: BoxReport,
    ) -> Optional[Tuple[int, bool, bool]]:
        """Class index, whether ignored, whether for any class; None to leave the object out."""
        if self.is_ignore_region(obj):
            return 0, True, True
        label = label_of.get(self.canonical_label(obj.label))
        if label is not None:
            return label, self.is_ignored_object(obj), False
        if self.unknown_labels == 'ignore':
            return 0, True, True
        if self.unknown_labels == 'drop':
            report.count_dropped_label(f'{source}, object {number}', obj.label)
            return None
        raise UserError(
            f'{source}, object {number}: label {brief(obj.label)} is outside the classes '
            f'{brief(tuple(label_of), 300)}; correct the file, name the classes in metainfo or set '
            "unknown_labels='drop' or 'ignore'"
        )

    def filter_data(self) -> List[dict]:
        """Leave out images by ``filter_cfg``, in training only.

        Returns:
            list[dict]: The images that remain.

        Raises:
            UserError: If none remains.
        """
        if self.test_mode or not self.filter_cfg:
            return self.data_list
        filter_empty = self.filter_cfg.get('filter_empty_gt', False)
        min_size = self.filter_cfg.get('min_size', 0)
        kept = [
            info
            for info in self.data_list
            if min(info['width'], info['height']) >= min_size
            and not (filter_empty and all(i['ignore_flag'] for i in info['instances']))
        ]
        if not kept:
            raise UserError(
                f'{type(self).__name__}: filter_cfg={dict(self.filter_cfg)} leaves none of '
                f'{len(self.data_list)} images of {self.ann_file or self.data_root!r}; expected at '
                'least one: relax it'
            )
        return kept
