# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Pascal VOC annotation files, as they are: floats kept, no offset, no minimum size."""

import math
import os.path as osp
import xml.etree.ElementTree as ET
from typing import List, NamedTuple, Optional, Tuple

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.messages import brief

from ..records import ObjectRecord

#: Largest file, in bytes: some 100,000 objects.
MAX_BYTES = 32 << 20

_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


class VOCAnnotation(NamedTuple):
    """Content of one VOC XML file.

    Attributes:
        filename (str | None): Name of the image as the file gives it.
        size (tuple[int, int] | None): Width and height in px, None if absent or not positive.
        objects (list[ObjectRecord]): Objects in the order of the file.
    """

    filename: Optional[str]
    size: Optional[Tuple[int, int]]
    objects: List[ObjectRecord]


def parse_voc_xml(path: str) -> VOCAnnotation:
    """Read one Pascal VOC XML file.

    Args:
        path (str): The XML file.

    Returns:
        VOCAnnotation: Image name, size and objects; coordinates are the numbers of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If it is not XML, its root is not ``<annotation>``, an object lacks its name,
            its ``bndbox`` or a coordinate, or a value is not a finite number. The message names
            file, object and finding.
    """
    try:
        if osp.getsize(path) > MAX_BYTES:
            raise UserError(f'expected at most {MAX_BYTES} bytes')
        root = ET.parse(path).getroot()
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: no such annotation file') from None
    except (ET.ParseError, ValueError, LookupError) as error:  # LookupError: unknown encoding
        raise UserError(
            f'{path}: not readable as XML ({osp.getsize(path)} bytes; {error}); expected a Pascal '
            'VOC annotation'
        ) from error
    if root.tag != 'annotation':
        raise UserError(
            f'{path}: the root element is <{root.tag[:80]}>, expected <annotation> of Pascal VOC; '
            'replace the file or take it off the list'
        )
    objects = [
        _parse_object(node, f'{path}, object {number}')
        for number, node in enumerate(root.findall('object'), start=1)
    ]
    filename = (root.findtext('filename') or '').strip() or None
    return VOCAnnotation(filename, _parse_size(root, path), objects)


def _parse_size(root: ET.Element, path: str) -> Optional[Tuple[int, int]]:
    """Width and height, or None where the annotator's tool wrote none or zeros."""
    node = root.find('size')
    if node is None or node.find('width') is None or node.find('height') is None:
        return None
    width = _number(node.findtext('width'), f'{path}, size', 'width')
    height = _number(node.findtext('height'), f'{path}, size', 'height')
    return (int(width), int(height)) if width > 0 and height > 0 else None


def _parse_object(node: ET.Element, where: str) -> ObjectRecord:
    label = (node.findtext('name') or '').strip()
    if not label:
        raise UserError(f'{where}: no <name>; expected the class of the object')
    where = f'{where} ({brief(label)})'
    box = node.find('bndbox')
    if box is None:
        tags = ', '.join(f'<{child.tag[:40]}>' for child in node[:8]) or 'nothing'
        raise UserError(
            f'{where}: no <bndbox>, found {tags}; expected <bndbox> with xmin, ymin, xmax, ymax '
            '(rotated boxes are not supported)'
        )
    x1, y1, x2, y2 = (_number(box.findtext(key), where, key) for key in _CORNERS)
    difficult = (node.findtext('difficult') or '').strip()  # absent or empty: no
    is_difficult = bool(difficult) and _number(difficult, where, 'difficult') != 0
    return ObjectRecord(label, (x1, y1, x2, y2), is_difficult)


def _number(text: Optional[str], where: str, key: str) -> float:
    try:
        value = math.nan if text is None else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f'{where}: <{key}> is {brief(text)}; expected a finite number')
    return value
