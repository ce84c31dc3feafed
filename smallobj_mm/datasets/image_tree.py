# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images for self-supervised training: a tree with a folder for each class, or any folder."""

import os
import os.path as osp
from collections.abc import Callable, Sequence

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from smallobj_mm.registry import DATASETS
from smallobj_mm.utils.errors import UserError

from .files import (
    DirectoryIndex,
    list_images,
    missing_data_error,
    read_id_list,
    strip_image_suffix,
)


def _class_folder(root: str, path: str) -> str:
    """Name of the folder right below ``root`` that an image is in."""
    return osp.relpath(path, root).split(os.sep)[0]


@DATASETS.register_module()
class ImageTreeDataset(BaseDataset):
    """Images below a folder, with labels where they lie in a folder for each class.

    - **Any folder**: all images below it, subfolders included, or those of a list.
    - **ImageFolder tree** (``with_label=True``): the subfolders are the classes, in sorted order.
    - **Part of ImageNet** such as ImageNet-100: a class list, one folder name a line (what follows
      a blank is not read), selects subfolders; the labels follow the list.

    Several data sets are mixed with ``ConcatDataset``. Gray images are as good as others.

    Args:
        data_root: Folder of the data set.
        image_folder: Folder of the images below ``data_root``.
        image_list: Text file below ``data_root``, one image a line, with or without its ending,
            relative to the image folder. All images when not given.
        class_list: Text file below ``data_root`` (or an absolute path), one class folder a line.
            Of an image list, only the images in these folders are taken; with labels, others on it
            are an error.
        with_label: Whether each image has ``gt_label``, from its class folder.
        metainfo: More meta information.
        pipeline: Transforms.
        indices: Only the first n, or these images.
        serialize_data: Hold the list serialized, shared by the workers.
        test_mode: Whether the data set is used for evaluation.
        lazy_init: Look for the images at first use only.
        max_refetch: How often another image is tried if a transform returns None.

    Raises:
        FileNotFoundError: If a folder, a list or a listed image or class is missing.
        UserError: If there is no image, no class folder where labels are wanted, or an image
            in another folder has no label.
    """

    def __init__(
        self,
        data_root: str,
        image_folder: str = '',
        image_list: str | None = None,
        class_list: str | None = None,
        with_label: bool = False,
        metainfo: dict | None = None,
        pipeline: Sequence[dict | Callable] = (),
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        self.image_folder = image_folder
        self.image_list = image_list
        self.class_list = class_list
        self.with_label = with_label
        super().__init__(
            data_root=data_root,
            metainfo=metainfo,
            data_prefix=dict(img_path=image_folder),
            pipeline=list(pipeline),
            indices=indices,
            serialize_data=serialize_data,
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def load_data_list(self) -> list[dict]:
        """Find the images.

        Returns:
            For each its ``img_path`` and, with labels, ``gt_label``.
        """
        root = osp.join(self.data_root, self.image_folder)
        if not osp.isdir(root):
            raise missing_data_error(
                'ImageTreeDataset',
                root,
                self.data_root,
                'you',
                'a folder of images; a folder for each class; a class list over such folders',
            )
        folders = self._class_folders(root)
        if self.image_list is not None:
            paths = self._listed(root, self.image_list)
            if folders is not None and not self.with_label:
                paths = self._restricted(root, paths, folders)
        elif folders is None:
            paths = list_images(root)
        else:
            paths = [path for name in folders for path in list_images(osp.join(root, name))]
        if not paths:
            raise UserError(
                f'{root}: no images found, expected files of the common endings (.jpg, .png, ...) '
                'in it or below; check data_root and image_folder'
            )
        if not self.with_label or folders is None:
            return [dict(img_path=path) for path in paths]
        return self._labeled(root, paths, folders)

    def _class_folders(self, root: str) -> list[str] | None:
        """Names of the class folders; None where any folder will do."""
        if self.class_list is not None:
            path = self._list_path('class_list', self.class_list)
            names = [line.split()[0] for line in read_id_list(path)]
            missing = [name for name in names if not osp.isdir(osp.join(root, name))]
            if missing:
                raise FileNotFoundError(
                    f'{path}: {len(missing)} of {len(names)} class folders are not in {root}, '
                    f'the first is {missing[0]!r}; check image_folder or take them off the list'
                )
            return names
        if not self.with_label:
            return None
        names = sorted(e.name for e in os.scandir(root) if e.is_dir())
        if not names:
            raise UserError(
                f'{root}: no subfolders found, but with_label=True expects one for each class; '
                'sort the images into folders or set with_label=False'
            )
        return names

    def _list_path(self, option: str, name: str) -> str:
        """Path of a list, which must be there."""
        path = osp.join(self.data_root, name)
        if not osp.isfile(path):
            raise FileNotFoundError(
                f'{path}: no such file, but {option} is {name!r}; expected a text file below '
                f'data_root {self.data_root!r}; correct it or set {option}=None for all images'
            )
        return path

    def _restricted(self, root: str, paths: list[str], folders: list[str]) -> list[str]:
        """Those of the listed images that are in one of the class folders."""
        wanted = set(folders)
        kept = [path for path in paths if _class_folder(root, path) in wanted]
        if not kept:
            raise UserError(
                f'{self.image_list}: none of its {len(paths)} images is in the {len(folders)} '
                f'class folders of class_list {self.class_list!r}; correct one of the two lists'
            )
        if len(kept) < len(paths):
            print_log(
                f'{self.image_list}: {len(paths) - len(kept)} of {len(paths)} images left out, '
                f'they are in no class folder of {self.class_list}',
                logger='current',
            )
        return kept

    def _listed(self, root: str, image_list: str) -> list[str]:
        path = self._list_path('image_list', image_list)
        index = DirectoryIndex()
        paths = []
        for name in read_id_list(path):
            image = index.find_image(root, strip_image_suffix(name), hint=osp.basename(name))
            if image is None:
                raise FileNotFoundError(
                    f'{path}: the image {name!r} is not in {root}; correct the list or image_folder'
                )
            paths.append(image)
        return paths

    def _labeled(self, root: str, paths: list[str], folders: list[str]) -> list[dict]:
        labels = {name: label for label, name in enumerate(folders)}
        self._metainfo['classes'] = tuple(folders)
        records = []
        for path in paths:
            name = _class_folder(root, path)
            if name not in labels:
                raise UserError(
                    f'{path}: {name!r} is none of the {len(folders)} class folders; expected '
                    'images in those only, correct the list'
                )
            records.append(dict(img_path=path, gt_label=labels[name]))
        empty = len(set(labels.values()) - {record['gt_label'] for record in records})
        if empty:
            print_log(f'{root}: {empty} of {len(folders)} classes have no image', logger='current')
        return records
