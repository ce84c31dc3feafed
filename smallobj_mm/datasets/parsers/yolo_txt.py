# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""YOLO label files (``class cx cy w h`` in fractions of the image) and ``data.yaml``."""

import math
import os.path as osp
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.messages import brief

from ..files import read_text
from ..records import ObjectRecord
from .bounded_yaml import read_yaml

_DATA_YAMLS = ('data.yaml', 'data.yml', 'dataset.yaml', 'dataset.yml')
_NAME_LISTS = ('obj.names', '_darknet.labels', 'classes.txt')

# Fractions a little over 1 come from rounding or objects at the border; more is another unit.
_MAX_FRACTION = 2.0


def parse_yolo_txt(
    path: str, classes: Sequence[str], size: Tuple[int, int], keypoints: bool = False
) -> List[ObjectRecord]:
    """Read one YOLO label file.

    Args:
        path (str): Text file with a row per object: ``class cx cy w h``, class index from 0, the
            rest fractions of the image's width and height; or ``class x1 y1 x2 y2 x3 y3 ...``, a
            polygon, which counts by the box that it spans. An empty file has no objects.
        classes (Sequence[str]): Names of the classes.
        size (tuple[int, int]): Width and height of the image in px.
        keypoints (bool): Whether keypoints, which are not read, follow the four numbers of the
            box. Nothing in a row tells them from a polygon.

    Returns:
        list[ObjectRecord]: Objects with boxes in px.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If a row has another number of fields, a field is not a number, the class is
            not an index into ``classes``, or the values are not fractions.
    """
    width, height = size
    objects = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        where = f'{path}, line {number}'
        is_polygon = len(fields) >= 7 and len(fields) % 2 == 1 and not keypoints
        if len(fields) != 5 and not is_polygon and not (keypoints and len(fields) > 5):
            raise UserError(
                f'{where}: found {len(fields)} fields ({line.strip()[:80]!r}), expected 5: '
                'class cx cy w h, or a polygon: class x1 y1 x2 y2 x3 y3 ... (confidences are not '
                'supported)'
            )
        try:
            values = [float(value) for value in (fields if is_polygon else fields[:5])]
        except ValueError:
            values = [math.nan]
        if not all(map(math.isfinite, values)):
            count = 'finite' if is_polygon else 'five finite'
            raise UserError(f'{where}: found {line.strip()[:80]!r}, expected {count} numbers')
        index = int(values[0])
        if index != values[0] or not 0 <= index < len(classes):
            raise UserError(
                f'{where}: class {fields[0][:40]} is outside the classes; expected an index '
                f'from 0 to {len(classes) - 1} for {brief(tuple(classes))}'
            )
        if max(map(abs, values[1:])) > _MAX_FRACTION:
            raise UserError(
                f'{where}: found {line.strip()[:80]!r}; expected fractions of the image, these '
                'look like pixels'
            )
        x1, y1, x2, y2 = _polygon_corners(values[1:]) if is_polygon else _corners(*values[1:])
        box = (x1 * width, y1 * height, x2 * width, y2 * height)
        objects.append(ObjectRecord(classes[index], box))
    return objects


def _corners(cx: float, cy: float, w: float, h: float) -> Tuple[float, float, float, float]:
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def _polygon_corners(values: List[float]) -> Tuple[float, float, float, float]:
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])


def label_path_of(img_path: str) -> str:
    """Label file of an image: the last folder ``images`` becomes ``labels``, the ending .txt.

    Without a folder ``images`` in the path the label file lies beside the image; also where there
    is one there alone, for a folder far above may be called ``images``.
    """
    stem = osp.splitext(img_path)[0].replace('\\', '/')
    parts = stem.split('/')
    for position in range(len(parts) - 2, -1, -1):
        if parts[position] == 'images':
            parts[position] = 'labels'
            break
    path, beside = '/'.join(parts) + '.txt', f'{stem}.txt'
    return beside if not osp.isfile(path) and osp.isfile(beside) else path


class DataYaml(NamedTuple):
    """Content of a ``data.yaml``.

    Attributes:
        classes (tuple[str, ...]): Names in the order of their index.
        roots (tuple[str, ...]): Folders that the paths of the splits may be relative to.
        splits (dict[str, tuple[str, ...]]): Split -> folders, lists or both, as written.
        keypoints (bool): Whether the rows of the labels end with keypoints.
    """

    classes: Tuple[str, ...]
    roots: Tuple[str, ...]
    splits: Dict[str, Tuple[str, ...]]
    keypoints: bool = False


def parse_data_yaml(path: str) -> DataYaml:
    """Read a ``data.yaml``: keys ``path``, ``train``, ``val``, ``test``, ``names``.

    Args:
        path (str): The YAML file. ``names`` is a list, or a mapping of index to name.

    Returns:
        DataYaml: Classes, possible roots (``path`` if given, then the folder of the file) and
        splits.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If it is not YAML, or ``names`` or all splits are missing or malformed; see
            :func:`read_yaml` for the limits.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f'{path}: found a {type(content).__name__}, expected keys names, train, …')
    folder = osp.dirname(path)
    roots = [folder]
    if content.get('path'):
        roots.insert(0, osp.join(folder, *_texts(content['path'], f'{path}: path')[:1]))
    splits = {}
    for split in ('train', 'val', 'test'):
        if content.get(split):
            splits[split] = _texts(content[split], f'{path}: {split}')
    if not splits:
        raise UserError(f'{path}: found none of the keys train, val, test; expected at least one')
    names = _parse_names(content, path)
    return DataYaml(names, tuple(roots), splits, content.get('kpt_shape') is not None)


def _texts(value: Any, where: str) -> Tuple[str, ...]:
    """One path or several."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(item, str) for item in values):
        raise UserError(f'{where} is {brief(value)}, expected a path or a list of paths')
    return tuple(values)


def _parse_names(content: dict, path: str) -> Tuple[str, ...]:
    names = content.get('names')
    if isinstance(names, dict):
        indices = [str(index) for index in range(len(names))]
        if set(names) != set(indices):
            raise UserError(
                f'{path}: names has the keys {brief(sorted(names))}, expected 0 to {len(names) - 1}'
            )
        names = [names[index] for index in indices]
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise UserError(
            f'{path}: names is {brief(names)}, expected a list or a mapping of class names'
        )
    count = content.get('nc')
    if count is not None and count != str(len(names)):
        raise UserError(f'{path}: nc is {brief(count)}, but names has {len(names)} classes')
    return tuple(names)


def find_data_yaml(data_root: str) -> Optional[str]:
    """The ``data.yaml`` in a folder, whatever its ending; None if there is none."""
    for name in _DATA_YAMLS:
        path = osp.join(data_root, name)
        if osp.isfile(path):
            return path
    return None


def find_class_names(
    data_root: str, folders: Sequence[str]
) -> Optional[Tuple[Tuple[str, ...], str]]:
    """Names of classes from a list that darknet's and labelImg's exports have, one name a line.

    Args:
        data_root (str): Folder of the data set.
        folders (Sequence[str]): Folders of its images, which may hold the list as well.

    Returns:
        tuple[tuple[str, ...], str] | None: The names and the path of the list.
    """
    for folder in (data_root or '.', *folders):
        for name in _NAME_LISTS:
            path = osp.join(folder, name)
            if osp.isfile(path):
                lines = [line.strip() for line in read_text(path).splitlines()]
                return tuple(line for line in lines if line), path
    return None
