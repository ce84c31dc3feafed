# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Reading lists, finding images and their sizes: what all data sets of this package share."""

import logging
import os
import os.path as osp
from typing import Dict, List, Optional, Sequence, Tuple

from mmengine.logging import print_log

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.image_headers import MAX_PIXELS, read_header

#: File name endings that count as images, in lower case.
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')

#: Size of the largest list or label file, in bytes: names of 5 million images.
MAX_TEXT_BYTES = 256 << 20


def missing_data_error(
    title: str, looked_for: str, data_root: str, source: str, layouts: str
) -> FileNotFoundError:
    """The one-line error for a data set that is not there.

    Args:
        title (str): Name of the data set.
        looked_for (str): Path that was looked for.
        data_root (str): The configured ``data_root``.
        source (str): Where the data set comes from.
        layouts (str): The layouts that are understood.

    Returns:
        FileNotFoundError: The error, to be raised by the caller.
    """
    return FileNotFoundError(
        f'{title}: {looked_for!r} not found (data_root={data_root!r}, current folder '
        f'{os.getcwd()!r}); it comes from {source}; layouts understood: {layouts}; '
        'put it there or set data_root'
    )


def read_text(path: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Read a UTF-8 text file, with or without a byte order mark.

    Args:
        path (str): The file.
        max_bytes (int): Size of the largest file that is read.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If it is not UTF-8 text, or larger.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(f'{path}: no such file')
    if osp.getsize(path) > max_bytes:
        raise UserError(
            f'{path}: {osp.getsize(path)} bytes, expected at most {max_bytes} of such a text file; '
            'split it, or check that it is the file you mean'
        )
    try:
        with open(path, encoding='utf-8-sig', newline=None) as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise UserError(f'{path}: expected UTF-8 text, found other bytes ({error})') from error


def read_id_list(path: str) -> List[str]:
    """Read a list of image names, one a line; line ends and outer blanks do not matter.

    Args:
        path (str): Text file; blank lines are skipped, repeated entries are left out with a
            counted warning.

    Returns:
        list[str]: The entries in the order of the file, each once.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If the list has no entry or is not text.
    """
    entries = [line.strip() for line in read_text(path).splitlines()]
    entries = [entry for entry in entries if entry]
    if not entries:
        raise UserError(f'{path}: the list is empty; expected one image name a line')
    unique = list(dict.fromkeys(entries))
    if len(unique) != len(entries):
        print_log(
            f'{path}: {len(entries) - len(unique)} repeated entries left out',
            logger='current',
            level=logging.WARNING,
        )
    return unique


def strip_image_suffix(name: str) -> str:
    """``name`` without an image ending, unchanged if it has none ('a.b' stays 'a.b')."""
    stem, suffix = osp.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


class DirectoryIndex:
    """Answers whether files exist from one listing per folder.

    A call of ``stat`` per image takes minutes for large sets on network file systems.
    """

    def __init__(self) -> None:
        self._names: Dict[str, set] = {}
        self._images: Dict[str, Dict[str, str]] = {}

    def _list(self, folder: str) -> set:
        folder = folder or '.'
        if folder not in self._names:
            names = set(os.listdir(folder)) if osp.isdir(folder) else set()
            images: Dict[str, str] = {}
            for name in sorted(names):
                stem, suffix = osp.splitext(name)
                if suffix.lower() in IMAGE_SUFFIXES:
                    images.setdefault(stem, name)
            self._names[folder] = names
            self._images[folder] = images
        return self._names[folder]

    def has(self, path: str) -> bool:
        """Whether ``path`` exists."""
        folder, name = osp.split(path)
        if name in ('', '.', '..'):
            return osp.exists(path)
        return name in self._list(folder)

    def find_image(self, folder: str, name: str, hint: Optional[str] = None) -> Optional[str]:
        """Path of the image called ``name`` with any image ending.

        Args:
            folder (str): Folder that ``name`` is relative to.
            name (str): Name without ending; may contain folders.
            hint (str, optional): Full file name that is taken first if it exists and has the
                same stem.

        Returns:
            str | None: The path, or None if there is no such image.
        """
        parent, stem = osp.split(osp.join(folder, name))
        names = self._list(parent)
        if hint and osp.splitext(hint)[0] == stem and hint in names:
            return osp.join(parent, hint)
        stored = self._images[parent or '.'].get(stem)
        return osp.join(parent, stored) if stored is not None else None


def list_files(folder: str, suffixes: Sequence[str]) -> List[str]:
    """Paths of all files below ``folder`` with one of some endings, subfolders included.

    Links to folders are followed, after the real folders, and each folder is read once: links
    that lead in circles end there, and a folder that is there itself keeps its own name.

    Args:
        folder (str): Where to look.
        suffixes (Sequence[str]): Endings in lower case, with their dot.

    Returns:
        list[str]: The files of a folder by name, then those of its subfolders by name.
    """
    files: List[str] = []
    visited = set()
    waiting = [folder]
    links: List[str] = []
    while waiting or links:
        is_link = not waiting
        start = links.pop() if is_link else waiting.pop()
        try:
            status = os.stat(start)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in visited:
            continue
        for parent, folders, names in os.walk(start):
            status = os.stat(parent)
            identity = (status.st_dev, status.st_ino)
            if identity in visited:
                folders.clear()
                continue
            visited.add(identity)
            links += [path for name in folders if osp.islink(path := osp.join(parent, name))]
            files += [
                osp.join(parent, name)
                for name in names
                if osp.splitext(name)[1].lower() in suffixes
            ]
        links.sort(key=_reading_order, reverse=True)
    return sorted(files, key=_reading_order)


def _reading_order(path: str) -> List[Tuple[bool, str]]:
    """Sorts the files of a folder before its subfolders, both by name."""
    *folders, name = path.split(os.sep)
    return [(True, folder) for folder in folders] + [(False, name)]


def list_images(folder: str) -> List[str]:
    """Paths of all images below ``folder``, sorted, subfolders included."""
    return list_files(folder, IMAGE_SUFFIXES)


def read_image_size(path: str, max_pixels: int = MAX_PIXELS) -> Tuple[int, int]:
    """Size of an image from its header alone, as the loader will see it.

    OpenCV turns images upright by their EXIF orientation when it decodes them, so the sides are
    swapped here for the orientations that lie on their side.

    Args:
        path (str): Image file.
        max_pixels (int): Pixels of the largest image that is accepted.

    Returns:
        tuple[int, int]: Width and height in px.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If it cannot be read as an image, or is too large.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(f'{path}: no such image')
    try:
        with open(path, 'rb') as file:
            return read_header(file, max_pixels).upright_size
    except (OSError, ValueError) as error:
        raise UserError(
            f'{path}: not readable as an image ({osp.getsize(path)} bytes; {error}); '
            'replace the file or take it off the list'
        ) from error


def common_suffix_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Number of equal path components at the end of two split paths."""
    length = 0
    for a, b in zip(reversed(first), reversed(second)):
        if a != b:
            break
        length += 1
    return length
