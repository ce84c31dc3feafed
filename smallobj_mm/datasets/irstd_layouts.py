# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Where data sets of infrared small targets keep their images, masks and lists."""

import os
import os.path as osp
from typing import Dict, List, NamedTuple, Optional, Tuple

from .coco_layouts import SPLIT_NAMES

#: Ending that the masks of NUAA-SIRST have after the name of their image.
MASK_SUFFIX = '_pixels0'


class Layout(NamedTuple):
    """Folders below the root of a data set.

    Attributes:
        images (str): Folder of the images.
        masks (str): Folder of the masks.
        lists (str): Folder of the lists, '' for the root itself.
        text (str): The layout in words.
    """

    images: str
    masks: str
    lists: str
    text: str


#: Name -> layout, in the order in which they are looked for.
LAYOUTS: Dict[str, Layout] = {
    'ismallnet': Layout('image', 'mask', '', '{image,mask}/ with {train,test}.txt'),
    'basicirstd': Layout(
        'images', 'masks', 'img_idx', '{images,masks}/ with img_idx/{train,test}_NAME.txt'
    ),
    'sirst_v2': Layout(
        'mixed',
        osp.join('annotations', 'masks'),
        'splits',
        'mixed/, annotations/masks/NAME_pixels0.png with splits/*.txt',
    ),
}


def describe_layouts() -> str:
    """All layouts in one line."""
    texts = [f'{name}: {layout.text}' for name, layout in LAYOUTS.items()]
    return '; '.join([*texts, 'without lists: SPLIT/{images,masks} or {images,masks}/SPLIT'])


def find_layout(data_root: str) -> Optional[str]:
    """Name of the layout whose image and mask folders are there; None if there is none."""
    for name, layout in LAYOUTS.items():
        if all(osp.isdir(osp.join(data_root, part)) for part in (layout.images, layout.masks)):
            return name
    return None


def find_list(data_root: str, layout: Layout, split: str) -> Tuple[Optional[str], List[str]]:
    """Find the list of a split.

    In order: the file ``split`` itself, absolute or below ``data_root`` or the folder of lists,
    if it ends with .txt; ``SPLIT.txt``; the only ``SPLIT_*.txt``; of several the one that ends
    with the name of the data set's folder.

    Args:
        data_root (str): Folder of the data set.
        layout (Layout): Its layout.
        split (str): Name of a split, or a list file.

    Returns:
        tuple[str | None, list[str]]: Path of the list, None if there is none or several; and the
        names of the lists that could be meant: the several, or all that there are.
    """
    folder = osp.join(data_root, layout.lists)
    if split.endswith('.txt'):
        bases = (data_root, folder, '')
        path = next((p for b in bases if osp.isfile(p := osp.join(b, split))), None)
        return path, list_names(folder)
    exact = osp.join(folder, f'{split}.txt')
    if osp.isfile(exact):
        return exact, []
    several = [name for name in list_names(folder) if name.startswith(f'{split}_')]
    if len(several) > 1:
        own = f'{split}_{osp.basename(osp.abspath(data_root))}.txt'.lower()
        several = [name for name in several if name.lower() == own] or several
    if len(several) == 1:
        return osp.join(folder, several[0]), []
    return None, several or list_names(folder)


def find_split_folders(data_root: str, split: str) -> Optional[Tuple[str, str]]:
    """Folders of the images and masks of a split that has folders of its own, without a list.

    ``SPLIT/images`` with ``SPLIT/masks``, or ``images/SPLIT`` with ``masks/SPLIT``; ``image`` and
    ``mask`` will do as well, and 'val' may be called 'valid'.

    Args:
        data_root (str): Folder of the data set.
        split (str): Name of the split.

    Returns:
        tuple[str, str] | None: Paths of the two folders.
    """
    for name in SPLIT_NAMES.get(split, (split,)):
        for images, masks in (('images', 'masks'), ('image', 'mask')):
            for layout in (f'{name}/{{}}', f'{{}}/{name}'):
                pair = [osp.join(data_root, layout.format(part)) for part in (images, masks)]
                if all(map(osp.isdir, pair)):
                    return pair[0], pair[1]
    return None


def list_names(folder: str) -> List[str]:
    """Names of the text files in a folder, sorted."""
    if not osp.isdir(folder):
        return []
    return sorted(name for name in os.listdir(folder) if name.endswith('.txt'))
