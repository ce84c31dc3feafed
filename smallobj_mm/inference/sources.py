# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What a user calls images: files, folders, patterns, arrays and videos, as one list."""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Union

import cv2
import numpy as np
import torch
from PIL import Image

from smallobj_mm.datasets.files import list_files, list_images, strip_image_suffix
from smallobj_mm.utils.errors import UserError

from .arrays import pil_array

VIDEO_SUFFIXES = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv')

#: Endings of the files that hold the results of an image.
RESULT_SUFFIXES = ('.json', '.png')
#: Longest name of a file, in bytes, that leaves room for another ending; most allow 255.
_LONGEST_NAME = 230

One = Union[str, 'os.PathLike[str]', np.ndarray, torch.Tensor, Image.Image]
Inputs = Union[One, Iterable[One]]


@dataclass
class Source:
    """An image that was not read yet.

    Attributes:
        name: What its results are called, a relative path without ending; no two have the same.
        path: Its file, for messages and for the data sample; of an array its name.
        array: The image itself if it is no file.
        read: Reads the image where it is neither an image file nor an array.
        frame: Number of a frame of a video, from 0; None of anything else.
        file: The file to read, where ``path`` is only what it is called, such as an address.
    """

    name: str
    path: str
    array: np.ndarray | None = None
    read: Callable[[], np.ndarray] | None = None
    frame: int | None = None
    file: str | None = None

    @property
    def label(self) -> str:
        """What rows and results call it: its path, of a frame with the frame's name."""
        return self.path if self.frame is None else f'{self.path}/{frame_name(self.frame)}'


def frame_name(index: int) -> str:
    """What a frame of a video is called."""
    return f'frame_{index:06d}'


def list_sources(
    inputs: Inputs, keep_missing: bool = False, same_names: bool = False
) -> list[Source]:
    """All images of some inputs, each once, in their order.

    Args:
        inputs: A path, folder (with its subfolders), glob pattern, video, PIL image or array
            (H, W[, 1, 3 or 4]) in uint8 or uint16 (BGR), or several of them.
        keep_missing: Whether a path that is not there, or a folder without an image, has a source
            of its own that raises the error when it is read.
        same_names: Whether images of the same name in different folders are taken; the name of
            the second then ends in a digest of its path.

    Returns:
        The images; those of a folder by name, a video's frames in their order.

    Raises:
        FileNotFoundError: A path is not there or a pattern finds nothing.
        UserError: A folder has no image, a video cannot be read, or images of the same name lie
            in different folders, unless ``same_names``.
        UserError: An input is something else.
    """
    if isinstance(inputs, (str, os.PathLike, np.ndarray, torch.Tensor, Image.Image)):
        inputs = [inputs]
    sources: list[Source] = []
    for number, item in enumerate(inputs):
        if isinstance(item, (np.ndarray, torch.Tensor)):
            array = item.numpy() if isinstance(item, torch.Tensor) else item
            sources.append(Source(f'array_{number:06d}', f'array {number}', array))
        elif isinstance(item, Image.Image):
            read = partial(pil_array, item)
            sources.append(Source(f'image_{number:06d}', f'image {number}', read=read))
        elif isinstance(item, (str, os.PathLike)):
            try:
                sources += _from_path(os.fspath(item))
            except (FileNotFoundError, UserError) as error:
                if not keep_missing:
                    raise
                name = f'missing_{number:06d}'
                sources.append(Source(name, os.fspath(item), read=partial(_fail, error)))
        else:
            raise UserError(
                f'input {number} is a {type(item).__name__}, expected a path, a folder, a pattern, '
                'a PIL image or an array'
            )
    unique = {(os.path.realpath(s.path), s.name if s.read else ''): s
              for s in reversed(sources) if s.array is None}  # fmt: skip
    chosen = {id(source) for source in unique.values()}
    sources = [source for source in sources if source.array is not None or id(source) in chosen]
    if not sources:
        raise UserError('no input, expected a path, a folder, a pattern or an array')
    _tell_apart(sources, same_names)
    return sources


def _from_path(path: str) -> list[Source]:
    """The images that a path or a pattern stands for."""
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        return _from_folder(path)
    if os.path.lexists(path):
        return _from_file(path, os.path.basename(path))
    if not glob.has_magic(path):
        raise FileNotFoundError(
            f'{path}: no such file or folder; give an image, a folder, a video or a pattern'
        )
    files = sorted(glob.glob(path, recursive=True))
    # A folder that a pattern such as ** meets is not looked through again.
    files = [file for file in files if not os.path.isdir(file)]
    if not files:
        raise FileNotFoundError(f'{path}: no file fits this pattern')
    parent = os.path.commonpath([os.path.dirname(os.path.abspath(file)) for file in files])
    return [s for file in files for s in _from_file(file, os.path.relpath(file, parent))]


def _from_folder(folder: str) -> list[Source]:
    files = list_images(folder) + list_files(folder, VIDEO_SUFFIXES)
    if not files:
        raise UserError(f'{folder}: no image or video in this folder, nor in those below it')
    return [s for file in files for s in _from_file(file, os.path.relpath(file, folder))]


def _from_file(path: str, name: str) -> list[Source]:
    name = Path(name).as_posix()
    if not name.lower().endswith(VIDEO_SUFFIXES):
        return [Source(name, path)]
    try:
        video = Video(path)
    except ValueError as error:  # told when its turn comes, as of an unreadable image
        return [Source(name, path, read=partial(_fail, error))]
    return [
        Source(f'{name}/{frame_name(index)}', path, read=partial(video.frame, index), frame=index)
        for index in range(len(video))
    ]


def _fail(error: Exception) -> np.ndarray:
    raise error


def _tell_apart(sources: list[Source], same_names: bool) -> None:
    """Give every image a name that its results can have as files, the shortest that is its own.

    Endings are taken off where names stay different without, of a video for all of its frames.
    File systems that do not tell a.png and A.png apart must not mix them up, and the results of
    ``x/a.jpg`` must not take the place of a folder ``x/a.png`` of other results.

    Raises:
        UserError: Two names are the same even with their endings, unless ``same_names``.
    """
    full = [_writable(source.name) for source in sources]
    short = [_without_ending(source, name) for source, name in zip(sources, full)]
    count = Counter(name.lower() for name in short)
    folders = {
        parent.as_posix().lower() for n in (*full, *short) for parent in PurePosixPath(n).parents
    }

    def in_the_way(name: str) -> bool:
        return any(f'{name}{suffix}'.lower() in folders for suffix in RESULT_SUFFIXES)

    # An image has a path of its own, the frames of a video share theirs.
    with_ending = {
        source.path for source, name in zip(sources, short)
        if count[name.lower()] > 1 or in_the_way(name)
    }  # fmt: skip
    taken: dict[str, str] = {}
    for source, name, ending in zip(sources, short, full):
        source.name = ending if source.path in with_ending else name
        if in_the_way(source.name):
            source.name += _digest(ending)
        if same_names and taken.get(source.name.lower(), source.path) != source.path:
            source.name += _digest(source.path)
        first = taken.setdefault(source.name.lower(), source.path)
        if first != source.path:
            raise UserError(
                f'{source.path}: has the name of {first}, so that one result would replace the '
                'other; give their common folder as input, or run them one after the other'
            )


def _without_ending(source: Source, name: str) -> str:
    """The name of an image without its ending; of a frame without that of the video."""
    if source.frame is not None:
        video, _, frame = name.rpartition('/')
        return f'{os.path.splitext(video)[0]}/{frame}'
    if source.read is not None:
        return os.path.splitext(name)[0] if name.lower().endswith(VIDEO_SUFFIXES) else name
    return name if source.array is not None else strip_image_suffix(name)


def _writable(name: str) -> str:
    """A relative path with names that any file system takes, the endings of results included.

    A name that is no UTF-8, or too long for an ending more, is written otherwise and gets a
    digest of its own so that it stays different from others.
    """
    parts = []
    for part in name.split('/'):
        text = os.fsencode(part).decode('utf-8', errors='backslashreplace').replace('\\x', '%')
        if not _is_utf8(part) or len(os.fsencode(part)) > _LONGEST_NAME:
            stem, suffix = os.path.splitext(text)
            suffix = suffix if len(suffix) <= 8 else ''
            cut = stem.encode()[: _LONGEST_NAME - 32].decode(errors='ignore')
            text = f'{cut}{_digest(part)}{suffix}'
        else:
            text = part
        parts.append(text)
    return '/'.join(parts)


def _is_utf8(text: str) -> bool:
    try:
        text.encode('utf-8')
    except UnicodeEncodeError:
        return False
    return True


def _digest(name: str) -> str:
    return '~' + hashlib.sha256(os.fsencode(name)).hexdigest()[:8]


class Video:
    """The frames of a video, read one after the other.

    Args:
        path: The file.

    Raises:
        UserError: It cannot be read or has no frame.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        capture = self._open()
        # What the file says about its length is an estimate.
        self._length = 0
        while capture.grab():
            self._length += 1
        capture.release()
        if not self._length:
            raise UserError(f'{path}: not readable as a video, or without a frame')
        self._capture: cv2.VideoCapture | None = None
        self._next = 0

    def __len__(self) -> int:
        return self._length

    @staticmethod
    def frames_per_second(path: str) -> float:
        """What the file says; 25 where it says nothing that can be."""
        capture = cv2.VideoCapture(path)
        rate = capture.get(cv2.CAP_PROP_FPS)
        capture.release()
        return rate if 0.1 <= rate <= 1000 else 25.0

    def frame(self, index: int) -> np.ndarray:
        """A frame (H, W, 3) uint8, BGR; fast if none before the last one is asked for.

        Raises:
            UserError: It cannot be decoded.
        """
        capture = self._capture
        if capture is None or index < self._next:
            self._capture = capture = self._open()
            self._next = 0
        while self._next < index and capture.grab():
            self._next += 1
        complete, frame = capture.read()
        self._next += 1
        if not complete:
            raise UserError(f'{self.path}: frame {index} cannot be decoded')
        if self._next == self._length:
            capture.release()
            self._capture = None
        return frame

    def _open(self) -> cv2.VideoCapture:
        if not _is_utf8(self.path):
            raise UserError(f'{self.path!r}: OpenCV opens no video of a name that is no UTF-8')
        capture = cv2.VideoCapture(self.path)
        if not capture.isOpened():
            raise UserError(f'{self.path}: not readable as a video; convert it to MP4 or AVI')
        return capture
