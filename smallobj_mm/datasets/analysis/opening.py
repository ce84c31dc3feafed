# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A data set from nothing but its folder or file: which format it has, its splits and classes."""

import os.path as osp
from typing import Any, Dict, List, Optional, Sequence

from mmengine.dataset import BaseDataset

from smallobj_mm.utils.errors import UserError

from ..bosch import BoschTrafficLightsDataset
from ..coco import CocoBoxDataset
from ..coco_layouts import find_coco_json
from ..custom import find_labels, open_voc
from ..files import list_files, list_images
from ..irstd import IRSTDDataset
from ..irstd_layouts import LAYOUTS, find_layout, find_list, find_split_folders
from ..parsers.bosch_yaml import BOSCH_MERGE
from ..parsers.yolo_txt import find_data_yaml, label_path_of
from ..yolo import YOLOFolderDataset

_SPLITS = ('train', 'val', 'test')


def open_datasets(
    path: str, lists: Optional[Sequence[str]] = None, check_images: bool = True
) -> Dict[str, BaseDataset]:
    """Open a data set by its folder, COCO file or ``data.yaml``.

    Args:
        path (str): Folder of any supported layout, a COCO JSON file, a ``data.yaml``, or a label
            file of Bosch Small Traffic Lights.
        lists (Sequence[str], optional): Names of lists (Pascal VOC, infrared sets), of splits
            (YOLO) or of COCO files that stand for training, validation and test; None for train,
            val and test, as far as they are there.
        check_images (bool): Whether images must be there.

    Returns:
        dict[str, BaseDataset]: Split -> data set of detection or segmentation, at least one.

    Raises:
        FileNotFoundError: If there is no such folder, file or list.
        UserError: If no supported format is recognized, or a file is malformed.
    """
    if osp.isfile(path):
        return _open_file(path, check_images)
    if not osp.isdir(path):
        raise FileNotFoundError(f'{path}: no such folder or file; give that of a data set')
    root = path
    for open_layout in (_open_voc, _open_coco, _open_masks, _open_yolo, _open_bosch):
        datasets = open_layout(root, lists, check_images)
        if datasets:
            return datasets
    raise UserError(
        f'{path}: no supported data set recognized; expected Pascal VOC (JPEGImages, Annotations, '
        'ImageSets/Main/*.txt), COCO JSON, YOLO labels, images and masks, or the YAML of Bosch '
        'Small Traffic Lights; give the folder above, the COCO file, or the data.yaml itself'
    )


def _open_file(path: str, check_images: bool) -> Dict[str, BaseDataset]:
    folder, name = osp.split(path)
    if path.endswith('.json'):
        dataset = CocoBoxDataset(ann_file=name, data_root=folder, check_images=check_images)
        return {osp.splitext(name)[0]: dataset}
    if _is_bosch(path):
        return {osp.splitext(name)[0]: _bosch(name, folder, check_images)}
    datasets = {
        split: YOLOFolderDataset(split=split, ann_file=name, data_root=folder, lazy_init=True)
        for split in _SPLITS
    }
    return _usable_yolo(datasets)


def _open_voc(
    root: str, lists: Optional[Sequence[str]], check_images: bool
) -> Dict[str, BaseDataset]:
    folder = osp.join(root, 'ImageSets', 'Main')
    files: Dict[str, str] = {}
    if osp.isdir(folder) and osp.isdir(osp.join(root, 'Annotations')):
        names = list(lists or [n for n in _SPLITS if osp.isfile(osp.join(folder, n + '.txt'))])
        if not names:
            names = [osp.splitext(osp.basename(file))[0] for file in list_files(folder, ['.txt'])]
        files = {name: f'ImageSets/Main/{name}.txt' for name in names}
    else:  # XML files beside the images, as training finds them
        found = {split: find_labels(root, split) for split in lists or _SPLITS}
        files = {split: file for split, (kind, file) in found.items() if kind == 'voc'}
    return {
        name: open_voc(root, file, tuple(files.values()), dict(check_images=check_images))
        for name, file in files.items()
    }


def _open_coco(
    root: str, lists: Optional[Sequence[str]], check_images: bool
) -> Dict[str, BaseDataset]:
    files = {name: name for name in lists or () if name.endswith('.json')}
    for split in () if files else lists or _SPLITS:
        file = find_coco_json(root, split)
        if file is not None:
            files[split] = file
    datasets: Dict[str, BaseDataset] = {}
    classes = None
    for split, file in files.items():
        dataset = CocoBoxDataset(
            ann_file=file,
            data_root=root,
            check_images=check_images,
            metainfo=dict(classes=classes),
            unknown_labels='drop',
        )
        classes = dataset.metainfo['classes']
        datasets[split] = dataset
    return datasets


def _open_masks(
    root: str, lists: Optional[Sequence[str]], check_images: bool
) -> Dict[str, BaseDataset]:
    names = list(lists or _SPLITS)
    parts = [name for name in names if find_split_folders(root, name)]
    layout = find_layout(root)
    if layout is not None:
        parts += [name for name in names if find_list(root, LAYOUTS[layout], name)[0]]
        if not parts and not lists:
            parts = ['all']
    return {name: IRSTDDataset(root, split=name) for name in dict.fromkeys(parts)}


def _open_yolo(
    root: str, lists: Optional[Sequence[str]], check_images: bool
) -> Dict[str, BaseDataset]:
    if find_data_yaml(root) is None:
        images = list_images(root)
        if not any(osp.isfile(label_path_of(image)) for image in images[:200]):
            return {}
    datasets = {
        split: YOLOFolderDataset(split=split, data_root=root, lazy_init=True)
        for split in lists or _SPLITS
    }
    return _usable_yolo(datasets)


def _usable_yolo(datasets: Dict[str, Any]) -> Dict[str, BaseDataset]:
    """The splits that are there; if none is, the error of the first."""
    missing: List[Exception] = []
    usable: Dict[str, BaseDataset] = {}
    for split, dataset in datasets.items():
        try:
            dataset.full_init()
            usable[split] = dataset
        except FileNotFoundError as error:
            missing.append(error)
        except UserError as error:
            if 'no split' not in str(error):
                raise
            missing.append(error)
    if not usable and missing:
        raise missing[0]
    return usable


def _open_bosch(
    root: str, lists: Optional[Sequence[str]], check_images: bool
) -> Dict[str, BaseDataset]:
    names = [f'{name}.yaml' for name in lists or _SPLITS]
    return {
        osp.splitext(name)[0]: _bosch(name, root, check_images)
        for name in names
        if _is_bosch(osp.join(root, name))
    }


def _is_bosch(path: str) -> bool:
    """Whether a YAML file begins as the label files of Bosch do: a list of records."""
    if not osp.isfile(path):
        return False
    with open(path, 'rb') as file:
        return file.read(200).lstrip().startswith(b'- boxes')


def _bosch(name: str, root: str, check_images: bool) -> BaseDataset:
    assert set(BOSCH_MERGE.values()) == set(BoschTrafficLightsDataset.METAINFO['classes'])
    return BoschTrafficLightsDataset(ann_file=name, data_root=root, check_images=check_images)
