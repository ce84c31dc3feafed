# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Where exports in COCO JSON keep their file and their images."""

import glob
import os.path as osp
from typing import List, Optional

#: The layouts in words.
LAYOUTS = (
    'annotations/instances_SPLIT*.json or SPLIT.json with images in SPLIT*/, images/ or '
    'images/SPLIT*/; SPLIT/_annotations.coco.json beside the images (Roboflow); '
    'annotations/instances_default.json with images/ (CVAT); any other place as ann_file and '
    'img_dir'
)

#: Name of a split -> names that it has elsewhere.
SPLIT_NAMES = {
    'train': ('train',),
    'val': ('val', 'valid', 'validation'),
    'test': ('test',),
}

_FILES = (
    'annotations/instances_{split}.json',
    'annotations/instances_{split}[0-9]*.json',
    'annotations/{split}.json',
    'annotations/*_{split}.json',
    '{split}/_annotations.coco.json',
    '{split}/annotations.json',
    '{split}/*.json',
    '{split}.json',
    'instances_{split}*.json',
    '*_{split}.json',
)
#: Of exports without splits.
_WHOLE = ('annotations/instances_default.json', '_annotations.coco.json', 'annotations.json')


def find_coco_json(data_root: str, split: str) -> Optional[str]:
    """The COCO file of a split, relative to ``data_root``; None if there is no or not one.

    A file of an export without splits belongs to the split 'train' or 'all'.
    """
    root = glob.escape(data_root or '.')
    for name in SPLIT_NAMES.get(split, (split,)):
        for pattern in _FILES:
            paths = sorted(glob.glob(osp.join(root, pattern.format(split=glob.escape(name)))))
            if len(paths) == 1:
                return osp.relpath(paths[0], data_root or '.')
    if split in ('train', 'all'):
        for name in _WHOLE:
            if osp.isfile(osp.join(data_root, name)):
                return name
    return None


def image_folders(ann_file: str, data_root: str, img_dir: Optional[str]) -> List[str]:
    """Folders that the images of a COCO file may lie in, the likeliest first.

    Args:
        ann_file (str): The file.
        data_root (str): Folder of the data set.
        img_dir (str, optional): The folder, if it is known, below ``data_root``.
    """
    if img_dir is not None:
        return [osp.join(data_root, img_dir)]
    beside = osp.dirname(ann_file)
    stem = osp.splitext(osp.basename(ann_file))[0].removeprefix('instances_')
    bases = [beside, data_root]
    if osp.basename(beside) == 'annotations':
        bases = [osp.dirname(beside), data_root, beside]
    folders = []
    for base in bases:
        for part in (stem, '', 'images', osp.join('images', stem), 'JPEGImages', 'images/default'):
            folder = osp.join(base, part) if part else base
            if folder not in folders and (not part or osp.isdir(folder)):
                folders.append(folder)
    return folders
