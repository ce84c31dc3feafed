# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Infrared small targets: NUAA-SIRST, NUDT-SIRST, IRSTD-1k and any set laid out like them."""

import os.path as osp
from collections.abc import Mapping
from typing import Callable, List, Optional, Sequence, Tuple, Union

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
from .irstd_layouts import (
    LAYOUTS,
    MASK_SUFFIX,
    describe_layouts,
    find_layout,
    find_list,
    find_split_folders,
)

#: Start of the folder's name in lower case -> name of the data set and where it comes from.
_KNOWN_SETS = {
    'nuaa': ('NUAA-SIRST', 'https://github.com/YimianDai/sirst'),
    'nudt': (
        'NUDT-SIRST',
        'https://github.com/YeRen123455/Infrared-Small-Target-Detection',
    ),
    'irstd': ('IRSTD-1k', 'https://github.com/RuiZhang97/ISNet'),
    'sirst': ('SIRST', 'https://github.com/YimianDai/open-sirst-v2'),
}
_HOLDOUT_KEYS = {'fraction', 'seed', 'part'}


def _about(data_root: str) -> Tuple[str, str]:
    """Name of a data set and where it comes from, as far as the folder's name tells."""
    name = osp.basename(osp.normpath(data_root or '.')).lower()
    for start, known in _KNOWN_SETS.items():
        if name.startswith(start):
            return known
    origins = ', '.join(f'{title} from {source}' for title, source in _KNOWN_SETS.values())
    return 'infrared small targets', f'its publisher ({origins})'


@DATASETS.register_module()
class IRSTDDataset(BaseSegDataset):
    """Images with masks of small targets, in any of three layouts.

    - 'ismallnet': ``image/``, ``mask/``, ``train.txt``, ``test.txt``;
    - 'basicirstd': ``images/``, ``masks/``, ``img_idx/{train,test}_NAME.txt``;
    - 'sirst_v2': ``mixed/``, ``annotations/masks/NAME_pixels0.png``, ``splits/*.txt``.

    Without lists, the images of a split are those in its own folders (``SPLIT/images`` with
    ``SPLIT/masks``, or ``images/SPLIT`` with ``masks/SPLIT``), or, where the folders of a layout
    have no split, all of them: for the split 'all', or parted by ``holdout``.

    Images and masks may have any usual ending, and masks ``_pixels0`` after the name, in each of
    the layouts. Lists may have other line ends, blanks and endings. A sample is
    ``dict(img_path, seg_map_path, ...)``, as mmseg's transforms expect it.

    Args:
        data_root (str): Folder of the data set.
        split (str): 'train', 'test', any other name of a list, or a list file (``*.txt``),
            absolute or below ``data_root``.
        layout (str): 'ismallnet', 'basicirstd', 'sirst_v2', or 'auto' for the one whose folders
            are there. Defaults to 'auto'.
        holdout (dict, optional): Takes a seeded share off the list for validation, where no
            other images are there to validate with: ``fraction`` (0 to 1) of the images,
            ``seed`` (int, defaults to 0), and ``part``, 'val' for that share or 'train' for the
            rest. Both parts keep the order of the list, and depend on its names alone.
        metainfo (Mapping, optional): Instead of the data set's own.
        indices (int | Sequence[int], optional): Only the first n, or these images.
        serialize_data (bool): Hold the list serialized, shared by the workers.
        pipeline (Sequence[dict | Callable]): Transforms.
        test_mode (bool): Whether the data set is used for evaluation.
        lazy_init (bool): Read the list at first use only.
        max_refetch (int): How often another image is tried if a transform returns None.

    Raises:
        FileNotFoundError: If the data set, its list, a listed image or its mask is missing.
        UserError: If the list is empty or not unique, no layout is recognized, or an option is
            unknown.
    """

    METAINFO = dict(classes=('background', 'target'), palette=[[0, 0, 0], [255, 60, 0]])

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        layout: str = 'auto',
        holdout: Optional[Mapping] = None,
        metainfo: Optional[Mapping] = None,
        indices: Optional[Union[int, Sequence[int]]] = None,
        serialize_data: bool = True,
        pipeline: Sequence[Union[dict, Callable]] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        if layout not in ('auto', *LAYOUTS):
            raise UserError(f'layout is {layout!r}, expected one of {("auto", *LAYOUTS)}')
        self.split = split
        self.layout = layout
        self.holdout = self._check_holdout(holdout)
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

    @staticmethod
    def _check_holdout(holdout: Optional[Mapping]) -> Optional[dict]:
        if holdout is None:
            return None
        holdout = dict(holdout)
        if not {'fraction', 'part'} <= set(holdout) <= _HOLDOUT_KEYS:
            raise UserError(
                f'holdout has {sorted(holdout)}, expected fraction, part and, if wanted, seed'
            )
        holdout.setdefault('seed', 0)
        if not 0 < holdout['fraction'] < 1 or holdout['part'] not in ('train', 'val'):
            raise UserError(
                f'holdout has fraction={holdout["fraction"]} and part={holdout["part"]!r}, '
                "expected a fraction between 0 and 1 and 'train' or 'val'"
            )
        return holdout

    def _missing(self, looked_for: str) -> FileNotFoundError:
        title, source = _about(self.data_root)
        return missing_data_error(
            title, looked_for, self.data_root or '', source, describe_layouts()
        )

    def _find_layout(self) -> str:
        """Name of the layout."""
        root = self.data_root or '.'
        if not osp.isdir(root):
            raise self._missing(root)
        if self.layout != 'auto':
            layout = LAYOUTS[self.layout]
            for folder in (layout.images, layout.masks):
                if not osp.isdir(osp.join(root, folder)):
                    raise self._missing(osp.join(root, folder))
            return self.layout
        name = find_layout(root)
        if name is None:
            title, _ = _about(root)
            raise UserError(
                f'{title}: {root!r} has none of the known layouts; expected the folders of one '
                f'of: {describe_layouts()}; rename them or set data_root'
            )
        return name

    def load_data_list(self) -> List[dict]:
        """Find the images of the list and their masks.

        Returns:
            list[dict]: Per image img_path, seg_map_path, and what mmseg's transforms ask for.
        """
        image_dir, mask_dir, names, source = self._split_images()
        files = DirectoryIndex()
        return [
            dict(
                img_path=self._find(files, image_dir, stem, ('',), 'image', source),
                seg_map_path=self._find(files, mask_dir, stem, ('', MASK_SUFFIX), 'mask', source),
                label_map=None,
                reduce_zero_label=False,
                seg_fields=[],
            )
            for stem in self._keep_part(names, source)
        ]

    def _split_images(self) -> Tuple[str, str, List[str], str]:
        """Folders of images and masks, the names of the split, and the list or folder they are in.

        Raises:
            FileNotFoundError: If there is neither a list nor a folder of the split.
        """
        root = self.data_root or '.'
        pair = find_split_folders(root, self.split) if self.layout == 'auto' else None
        if pair is not None:
            return (*pair, self._names_in(pair[0]), pair[0])
        name = self._find_layout()
        layout = LAYOUTS[name]
        image_dir, mask_dir = (osp.join(root, part) for part in (layout.images, layout.masks))
        list_file, other_lists = find_list(root, layout, self.split)
        if list_file is not None:
            entries = read_id_list(list_file)
            names = list(dict.fromkeys(strip_image_suffix(entry) for entry in entries))
            return image_dir, mask_dir, names, list_file
        if not other_lists and (self.split == 'all' or self.holdout is not None):
            return image_dir, mask_dir, self._names_in(image_dir), image_dir
        folder = osp.join(root, layout.lists) if layout.lists else root
        advice = (
            'name one of them as split, or take a validation share off the training list with '
            'holdout'
            if other_lists
            else "take split='all', or part the images with holdout=dict(fraction=0.2, "
            "part='train') and part='val'"
        )
        raise FileNotFoundError(
            f'{_about(root)[0]}: no one list for split {self.split!r} in {folder!r} (layout '
            f'{name}), found {other_lists or "no list"}; {advice}'
        )

    @staticmethod
    def _names_in(folder: str) -> List[str]:
        """Names of all images in a folder, without their endings, sorted."""
        names = [strip_image_suffix(osp.relpath(path, folder)) for path in list_images(folder)]
        if not names:
            raise UserError(f'{folder}: no image in this folder; expected *.png, *.jpg, …')
        return list(dict.fromkeys(names))

    def _keep_part(self, names: List[str], list_file: str) -> List[str]:
        """The part of the list that holdout says."""
        if self.holdout is None:
            return names
        count = max(round(len(names) * self.holdout['fraction']), 1)
        if count >= len(names):
            raise UserError(
                f'{list_file}: {len(names)} images, of which holdout takes {count}; expected some '
                'to remain: lower its fraction'
            )
        order = np.random.default_rng(self.holdout['seed']).permutation(len(names))[:count]
        held = {sorted(names)[index] for index in order}
        return [name for name in names if (name in held) == (self.holdout['part'] == 'val')]

    @staticmethod
    def _find(
        files: DirectoryIndex,
        folder: str,
        name: str,
        suffixes: Sequence[str],
        kind: str,
        list_file: str,
    ) -> str:
        """Path of the image or mask of a name."""
        for suffix in suffixes:
            path = files.find_image(folder, name + suffix)
            if path is not None:
                return path
        tried = ' or '.join(f'{name}{suffix}.*' for suffix in suffixes)
        raise FileNotFoundError(
            f'{list_file}: names {name!r}, but there is no {kind} {tried} (png, bmp, jpg, …) in '
            f'{folder!r}; add it or take it off the list'
        )
