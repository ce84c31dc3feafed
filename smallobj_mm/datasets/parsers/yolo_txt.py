# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""YOLO label files (``class cx cy w h`` in fractions of the image) and ``data.yaml``."""

import math
import os.path as osp
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import yaml

from ..files import read_text
from ..records import ObjectRecord

# Fractions a little over 1 come from rounding or objects at the border; more is another unit.
_MAX_FRACTION = 2.0


def parse_yolo_txt(path: str, classes: Sequence[str], size: Tuple[int, int]) -> List[ObjectRecord]:
    """Read one YOLO label file.

    Args:
        path (str): Text file with a row ``class cx cy w h`` per object: class index from 0, the
            rest fractions of the image's width and height. An empty file has no objects.
        classes (Sequence[str]): Names of the classes.
        size (tuple[int, int]): Width and height of the image in px.

    Returns:
        list[ObjectRecord]: Objects with boxes in px.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a row has not five fields, a field is not a number, the class is not an
            index into ``classes``, or the values are not fractions.
    """
    width, height = size
    objects = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        where = f'{path}, line {number}'
        if len(fields) != 5:
            raise ValueError(
                f'{where}: found {len(fields)} fields ({line.strip()[:80]!r}), expected 5: '
                'class cx cy w h (polygons and confidences are not supported)'
            )
        try:
            values = [float(value) for value in fields]
        except ValueError:
            values = [math.nan]
        if not all(map(math.isfinite, values)):
            raise ValueError(f'{where}: found {line.strip()[:80]!r}, expected five finite numbers')
        index = int(values[0])
        if index != values[0] or not 0 <= index < len(classes):
            raise ValueError(
                f'{where}: class {fields[0]} is outside the classes; expected an index from 0 to '
                f'{len(classes) - 1} for {tuple(classes)}'
            )
        if max(map(abs, values[1:])) > _MAX_FRACTION:
            raise ValueError(
                f'{where}: found {line.strip()[:80]!r}; expected fractions of the image, these '
                'look like pixels'
            )
        cx, cy, w, h = values[1:]
        box = (
            (cx - w / 2) * width,
            (cy - h / 2) * height,
            (cx + w / 2) * width,
            (cy + h / 2) * height,
        )
        objects.append(ObjectRecord(classes[index], box))
    return objects


def label_path_of(img_path: str) -> str:
    """Label file of an image: the last folder ``images`` becomes ``labels``, the ending .txt.

    Without a folder ``images`` in the path the label file lies beside the image.
    """
    parts = osp.splitext(img_path)[0].replace('\\', '/').split('/')
    for position in range(len(parts) - 2, -1, -1):
        if parts[position] == 'images':
            parts[position] = 'labels'
            break
    return '/'.join(parts) + '.txt'


class DataYaml(NamedTuple):
    """Content of a ``data.yaml``.

    Attributes:
        classes (tuple[str, ...]): Names in the order of their index.
        roots (tuple[str, ...]): Folders that the paths of the splits may be relative to.
        splits (dict[str, tuple[str, ...]]): Split -> folders, lists or both, as written.
    """

    classes: Tuple[str, ...]
    roots: Tuple[str, ...]
    splits: Dict[str, Tuple[str, ...]]


def parse_data_yaml(path: str) -> DataYaml:
    """Read a ``data.yaml``: keys ``path``, ``train``, ``val``, ``test``, ``names``.

    Args:
        path (str): The YAML file. ``names`` is a list, or a mapping of index to name.

    Returns:
        DataYaml: Classes, possible roots (``path`` if given, then the folder of the file) and
        splits.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not YAML, or ``names`` or all splits are missing or malformed.
    """
    try:
        content = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        detail = ' '.join(str(error).split())
        raise ValueError(f'{path}: not readable as YAML ({detail})') from error
    if not isinstance(content, dict):
        raise ValueError(f'{path}: found a {type(content).__name__}, expected keys names, train, …')
    folder = osp.dirname(path)
    roots = [folder]
    if content.get('path'):
        roots.insert(0, osp.join(folder, str(content['path'])))
    splits = {}
    for split in ('train', 'val', 'test'):
        value = content.get(split)
        if value:
            values = value if isinstance(value, list) else [value]
            splits[split] = tuple(str(item) for item in values)
    if not splits:
        raise ValueError(f'{path}: found none of the keys train, val, test; expected at least one')
    return DataYaml(_parse_names(content, path), tuple(roots), splits)


def _parse_names(content: dict, path: str) -> Tuple[str, ...]:
    names = content.get('names')
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise ValueError(
                f'{path}: names has the keys {sorted(names, key=str)}, expected 0 to '
                f'{len(names) - 1}'
            )
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or not names:
        raise ValueError(f'{path}: names is {names!r}, expected a list or a mapping of class names')
    count: Optional[int] = content.get('nc')
    if count is not None and count != len(names):
        raise ValueError(f'{path}: nc is {count}, but names has {len(names)} classes')
    return tuple(str(name) for name in names)
