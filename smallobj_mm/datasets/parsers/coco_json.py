# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""COCO annotation files, as they are: floats kept, boxes unchecked, errors that name the record."""

import json
import math
import os
from collections import Counter
from functools import lru_cache
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.messages import brief

from ..records import ObjectRecord

ImageId = Union[int, str]


class CocoImage(NamedTuple):
    """One image of a COCO file.

    Attributes:
        id (int | str): Its id in the file.
        file_name (str): Its path as written, with ``/`` between folders.
        size (tuple[int, int] | None): Width and height in px, None where the file has neither.
        objects (list[ObjectRecord]): Its annotations; ``difficult`` marks crowds and regions to
            ignore.
    """

    id: ImageId
    file_name: str
    size: Optional[Tuple[int, int]]
    objects: List[ObjectRecord]


class CocoAnnotations(NamedTuple):
    """Content of a COCO file.

    Attributes:
        classes (tuple[str, ...]): Names of the categories in the order of their ids.
        images (list[CocoImage]): The images in the order of the file.
        orphans (int): Annotations of images that the file does not have.
    """

    classes: Tuple[str, ...]
    images: List[CocoImage]
    orphans: int


def parse_coco_json(path: str) -> CocoAnnotations:
    """Read a COCO annotation file.

    A box is ``bbox``, or where that is missing what the polygons of ``segmentation`` span; masks
    are not read. ``iscrowd`` and ``ignore`` make a region to ignore. A category of another id than
    those of the file keeps ``'category ID'`` as its label. The heading that Roboflow writes, a
    category 0 without annotations that the others have as their ``supercategory``, is no class.

    Args:
        path (str): The JSON file.

    Returns:
        CocoAnnotations: Classes and images; boxes (x1, y1, x2, y2) in px are not checked.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If it is no JSON, lacks ``images``, ``annotations`` or ``categories``, has an
            id or a name twice, or a record lacks a key or has a value of the wrong kind.
    """
    content = _read(path)
    names = _category_names(content, path)
    images: Dict[ImageId, CocoImage] = {}
    for number, record in enumerate(content['images'], start=1):
        image = _parse_image(record, f'{path}, image {number}')
        if image.id in images:
            raise UserError(
                f'{path}, image {number}: the id {brief(image.id)} is there before, expected each '
                'once'
            )
        images[image.id] = image
    orphans = 0
    for number, record in enumerate(content['annotations'], start=1):
        where = f'{path}, annotation {number}'
        image_id, obj = _parse_annotation(record, names, where)
        if image_id in images:
            images[image_id].objects.append(obj)
        else:
            orphans += 1
    return CocoAnnotations(tuple(names.values()), list(images.values()), orphans)


def read_coco_classes(path: str) -> Tuple[str, ...]:
    """Names of the categories of a COCO file in the order of their ids; see the parser.

    The answer is kept as long as the file stays as it is, since large files take seconds.
    """
    status = os.stat(path) if os.path.isfile(path) else None
    stamp = (status.st_size, status.st_mtime_ns) if status else (0, 0)
    return _read_classes(os.path.realpath(path), path, stamp)


@lru_cache(maxsize=64)
def _read_classes(_: str, path: str, stamp: Tuple[int, int]) -> Tuple[str, ...]:
    return tuple(_category_names(_read(path), path).values())


def _read(path: str) -> dict:
    """The content of the file, with the three lists that it must have."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such annotation file')
    try:
        with open(path, encoding='utf-8-sig') as file:
            content = json.load(file)
    except (ValueError, RecursionError) as error:
        detail = ' '.join(str(error).split())[:200]
        raise UserError(f'{path}: not readable as JSON ({detail})') from None
    if not isinstance(content, dict):
        raise UserError(
            f'{path}: found a {type(content).__name__}, expected the keys images, annotations and '
            'categories of COCO'
        )
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(key), list):
            given = f'{key} is {brief(content[key])}' if key in content else f'no {key}'
            raise UserError(
                f'{path}: {given}, found the keys {brief(sorted(content))}; expected the lists '
                'images, annotations and categories of COCO'
            )
    return content


def _category_names(content: dict, path: str) -> Dict[ImageId, str]:
    """Category id -> name, in the order of the ids."""
    names: Dict[ImageId, str] = {}
    above: Dict[ImageId, Any] = {}
    for number, record in enumerate(content['categories'], start=1):
        where = f'{path}, category {number}'
        if not isinstance(record, dict):
            raise UserError(f'{where}: found {brief(record)}, expected id and name')
        identity, name = _id(record, 'id', where), record.get('name')
        if not isinstance(name, (str, int)) or isinstance(name, bool) or not str(name).strip():
            raise UserError(f'{where}: name is {brief(name)}, expected the name of a class')
        if identity in names:
            raise UserError(f'{where}: the id {brief(identity)} is there before, expected once')
        names[identity] = str(name).strip()
        above[identity] = record.get('supercategory')
    heading = names.get(0)
    if heading is not None and len(names) > 1:
        parents = [above[identity] for identity in names if identity != 0]
        used = any(
            isinstance(a, dict) and a.get('category_id') == 0 for a in content['annotations']
        )
        if not used and above[0] in (None, '', 'none') and all(o == heading for o in parents):
            del names[0]
    if not names:
        raise UserError(f'{path}: categories is empty, expected at least one class')
    names = dict(sorted(names.items(), key=lambda item: (isinstance(item[0], str), item[0])))
    if len(set(names.values())) < len(names):
        twice = Counter(names.values()).most_common(1)[0][0]
        raise UserError(f'{path}: two categories are called {brief(twice)}, expected one')
    return names


def _id(record: dict, key: str, where: str) -> ImageId:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        given = f'{key} is {brief(value)}' if key in record else f'no {key}'
        raise UserError(f'{where}: {given}, expected a number or a text')
    return value


def _parse_image(record: Any, where: str) -> CocoImage:
    if not isinstance(record, dict):
        raise UserError(f'{where}: found {brief(record)}, expected id and file_name')
    identity, name = _id(record, 'id', where), record.get('file_name')
    if not isinstance(name, str) or not name.strip():
        given = f'file_name is {brief(name)}' if 'file_name' in record else 'no file_name'
        raise UserError(f'{where}: {given}, expected the path of an image')
    width: Any = record.get('width')
    height: Any = record.get('height')
    size = None
    if width is not None or height is not None:
        if not all(_is_number(side) and side > 0 and side % 1 == 0 for side in (width, height)):
            raise UserError(
                f'{where} ({brief(name)}): width and height are {brief((width, height))}, expected '
                'two positive whole numbers, or neither'
            )
        size = (int(width), int(height))
    return CocoImage(identity, name.replace('\\', '/'), size, [])


def _parse_annotation(
    record: Any, names: Dict[ImageId, str], where: str
) -> Tuple[ImageId, ObjectRecord]:
    """Id of its image, and the object."""
    if not isinstance(record, dict):
        raise UserError(f'{where}: found {brief(record)}, expected image_id, category_id and bbox')
    image_id = _id(record, 'image_id', where)
    category = _id(record, 'category_id', where)
    ignored = False
    for key in ('iscrowd', 'ignore'):
        flag = record.get(key, 0)
        if flag not in (0, 1, None):  # False and True are 0 and 1
            raise UserError(f'{where}: {key} is {brief(flag)}, expected 0 or 1')
        ignored = ignored or bool(flag)
    label = names.get(category, f'category {brief(category)}')
    return image_id, ObjectRecord(label, _box(record, where), ignored)


def _box(record: dict, where: str) -> Tuple[float, float, float, float]:
    values = record.get('bbox')
    if values is None or values == []:
        return _polygon_box(record.get('segmentation'), where)
    if not isinstance(values, list) or len(values) != 4 or not all(map(_is_number, values)):
        raise UserError(
            f'{where}: bbox is {brief(values)}, expected four finite numbers x, y, width, height'
        )
    x, y, width, height = map(float, values)
    return x, y, x + width, y + height


def _polygon_box(polygons: Any, where: str) -> Tuple[float, float, float, float]:
    """The box of polygons ``[[x1, y1, x2, y2, ...], ...]``."""
    values: List[float] = []
    for polygon in polygons if isinstance(polygons, list) else []:
        usable = isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0
        if not usable or not all(map(_is_number, polygon)):
            raise UserError(
                f'{where}: no bbox, and segmentation has {brief(polygon)}, expected a polygon '
                '[x1, y1, x2, y2, x3, y3, ...]'
            )
        values += map(float, polygon)
    if not values:
        raise UserError(
            f'{where}: no bbox and no polygon, expected bbox=[x, y, width, height] (masks coded '
            'as RLE are not read)'
        )
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number that a float holds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
