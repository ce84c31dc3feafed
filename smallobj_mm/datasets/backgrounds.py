# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images without targets: backgrounds for targets that are pasted or drawn."""

import os.path as osp
from collections.abc import Mapping
from typing import Callable, Dict, List, Optional, Sequence, Union

import numpy as np
from mmseg.datasets import BaseSegDataset

from smallobj_mm.registry import DATASETS
from smallobj_mm.utils.errors import UserError

from .files import (
    DirectoryIndex,
    list_images,
    missing_data_error,
    read_id_list,
    strip_image_suffix,
)
from .irstd import IRSTDDataset
from .parsers import parse_coco_json, parse_voc_xml


@DATASETS.register_module()
class BackgroundDataset(BaseSegDataset):
    """Pictures of any kind in a folder, every pixel of them background.

    The samples have no mask file; LoadBinaryMask makes them an empty one. Where the pictures have
    annotated objects, as thermal frames of persons and cars do, which look like targets but are
    not labeled as such, ``boxes`` names the annotations: LoadBinaryMask marks their pixels as
    ignored (255), so that they count neither as background nor as targets, and nothing is pasted
    over them.

    A sample is ``dict(img_path, seg_map_path=None, ignore_boxes, ...)``.

    Args:
        data_root (str): Folder of the data set.
        image_folder (str): Folder of the pictures below it, subfolders included. Defaults to ''.
        image_list (str, optional): List of names in ``image_folder``, with or without ending, one
            a line; below ``data_root``, or any other path. None for all pictures.
        boxes (str, optional): Annotations of objects to ignore, below ``data_root``: a folder of
            Pascal VOC files named as the pictures, or a COCO JSON file. Pictures that are not in
            it have no object.
        box_margin (int): By how many px boxes are enlarged to each side, beside 15 % of their
            longer side: objects have a halo. Defaults to 4.
        metainfo (Mapping, optional): Instead of that of IRSTDDataset.
        indices (int | Sequence[int], optional): Only the first n, or these pictures.
        serialize_data (bool): Hold the list serialized, shared by the workers.
        pipeline (Sequence[dict | Callable]): Transforms.
        test_mode (bool): Whether the data set is used for evaluation.
        lazy_init (bool): Read the list at first use only.
        max_refetch (int): How often another picture is tried if a transform returns None.

    Raises:
        FileNotFoundError: If the folder, the list, the annotations or a listed picture is missing.
        UserError: If there is no picture or the annotations cannot be read.

    Example:
        >>> cfg = dict(
        ...     type='BackgroundDataset',
        ...     data_root='data/HIT-UAV',
        ...     image_folder='JPEGImages',
        ...     image_list='ImageSets/Main/flight_train.txt',
        ...     boxes='Annotations',
        ...     pipeline=[
        ...         dict(type='LoadImageStrict', color_type='grayscale'),
        ...         dict(type='LoadBinaryMask'),
        ...         dict(type='ScaledTargetCrop', size=256),
        ...         dict(type='SyntheticTargets', empty_prob=0.7),
        ...     ],
        ... )
    """

    METAINFO = IRSTDDataset.METAINFO

    def __init__(
        self,
        data_root: str,
        image_folder: str = '',
        image_list: Optional[str] = None,
        boxes: Optional[str] = None,
        box_margin: int = 4,
        metainfo: Optional[Mapping] = None,
        indices: Optional[Union[int, Sequence[int]]] = None,
        serialize_data: bool = True,
        pipeline: Sequence[Union[dict, Callable]] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        if box_margin < 0:
            raise UserError(f'BackgroundDataset: box_margin is {box_margin}, expected 0 or more')
        self.image_folder = image_folder
        self.image_list = image_list
        self.boxes = boxes
        self.box_margin = box_margin
        super().__init__(
            metainfo=metainfo,
            data_root=data_root,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def load_data_list(self) -> List[dict]:
        """Find the pictures and the boxes of their objects.

        Returns:
            list[dict]: Per picture img_path, seg_map_path (None), ignore_boxes (N, 4) float32 in
            px as x1, y1, x2, y2, and what mmseg's transforms ask for.
        """
        root = self.data_root or '.'
        folder = osp.join(root, self.image_folder)
        if not osp.isdir(folder):
            raise missing_data_error(
                'backgrounds', folder, root, 'any collection of pictures', 'one folder of images'
            )
        paths = list_images(folder) if self.image_list is None else self._listed(folder)
        if not paths:
            raise UserError(
                f'{folder}: no image found (png, bmp, jpg, …); set data_root and image_folder'
            )
        boxes = self._read_boxes(root, paths)
        return [
            dict(
                img_path=path,
                seg_map_path=None,
                ignore_boxes=self._enlarged(boxes.get(path, [])),
                label_map=None,
                reduce_zero_label=False,
                seg_fields=[],
            )
            for path in paths
        ]

    def _listed(self, folder: str) -> List[str]:
        """Paths of the listed pictures."""
        name = str(self.image_list)
        candidates = [osp.join(self.data_root or '.', name), name]
        path = next((path for path in candidates if osp.isfile(path)), candidates[0])
        index = DirectoryIndex()
        paths = []
        for entry in read_id_list(path):
            image = index.find_image(folder, strip_image_suffix(entry), hint=osp.basename(entry))
            if image is None:
                raise FileNotFoundError(
                    f'{path}: names {entry!r}, but there is no such image in {folder!r}; add it '
                    'or take it off the list'
                )
            paths.append(image)
        return paths

    def _read_boxes(self, root: str, paths: Sequence[str]) -> Dict[str, List[Sequence[float]]]:
        """Boxes (x1, y1, x2, y2) of each picture that has any."""
        if self.boxes is None:
            return {}
        source = osp.join(root, self.boxes)
        if osp.isdir(source):
            return _voc_boxes(source, paths)
        if osp.isfile(source):
            return _coco_boxes(source, paths)
        raise FileNotFoundError(
            f'{source}: no such file or folder, but boxes is {self.boxes!r}; expected a folder of '
            'Pascal VOC files or a COCO JSON file below data_root; correct it or set boxes=None'
        )

    def _enlarged(self, boxes: Sequence[Sequence[float]]) -> np.ndarray:
        """Boxes with their margin, (N, 4) float32."""
        corners = np.array(boxes, np.float32).reshape(-1, 4)
        sides = corners[:, 2:] - corners[:, :2]
        margin = self.box_margin + 0.15 * sides.max(axis=1, initial=0, keepdims=True)
        return np.concatenate([corners[:, :2] - margin, corners[:, 2:] + margin], axis=1)


def _voc_boxes(folder: str, paths: Sequence[str]) -> Dict[str, List[Sequence[float]]]:
    """Boxes of Pascal VOC files that are named as the pictures."""
    index = DirectoryIndex()
    boxes: Dict[str, List[Sequence[float]]] = {}
    for path in paths:
        file = osp.join(folder, osp.splitext(osp.basename(path))[0] + '.xml')
        if index.has(file):
            boxes[path] = [obj.box for obj in parse_voc_xml(file).objects]
    if not boxes:
        raise UserError(
            f'{folder}: none of its files is named as one of the {len(paths)} pictures; expected '
            'NAME.xml for NAME.jpg; set boxes to the folder of their annotations'
        )
    return boxes


def _coco_boxes(path: str, paths: Sequence[str]) -> Dict[str, List[Sequence[float]]]:
    """Boxes of a COCO JSON file, its images found by their file names."""
    by_name = {osp.basename(image): image for image in paths}
    annotated = [image for image in parse_coco_json(path).images if image.objects]
    boxes: Dict[str, List[Sequence[float]]] = {}
    for image in annotated:
        name = osp.basename(image.file_name)
        if name in by_name:
            boxes.setdefault(by_name[name], []).extend(obj.box for obj in image.objects)
    if annotated and not boxes:
        raise UserError(
            f'{path}: names none of the {len(paths)} pictures, the first being '
            f'{osp.basename(paths[0])!r}; set boxes to the annotations of these pictures'
        )
    return boxes
