# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Label files of the Bosch Small Traffic Lights Dataset."""

from typing import Any, List, Tuple

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.messages import brief

from ..records import ObjectRecord
from .bounded_yaml import parse_number, read_yaml

_ARROWS = ('', 'Left', 'Right', 'Straight', 'StraightLeft', 'StraightRight')

#: The 14 labels of the annotators -> the 4 states that the data set is evaluated on.
BOSCH_MERGE = {
    **{f'Green{arrow}': 'Green' for arrow in _ARROWS},
    **{f'Red{arrow}': 'Red' for arrow in _ARROWS},
    'Yellow': 'Yellow',
    'off': 'off',
}

_CORNERS = ('x_min', 'y_min', 'x_max', 'y_max')


def parse_bosch_yaml(path: str) -> List[Tuple[str, List[ObjectRecord]]]:
    """Read a label file: a list of ``{boxes: [{label, x_min, y_min, x_max, y_max}], path}``.

    Args:
        path (str): train.yaml, additional_train.yaml or test.yaml.

    Returns:
        list[tuple[str, list[ObjectRecord]]]: Per image the path as written and its objects, with
        the labels of the file (not merged) and unchecked boxes in px.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If it is not such a list, is empty, or a record or box lacks a key or has a
            value of the wrong kind; see :func:`read_yaml` for the limits.
    """
    content = read_yaml(path)
    if content is None or content == []:
        raise UserError(f'{path}: the list is empty; expected one record an image')
    if not isinstance(content, list):
        raise UserError(
            f'{path}: found a {type(content).__name__}, expected a list of records with the keys '
            'boxes and path'
        )
    return [_parse_record(item, f'{path}, record {n}') for n, item in enumerate(content, start=1)]


def _parse_record(record: Any, where: str) -> Tuple[str, List[ObjectRecord]]:
    if not isinstance(record, dict) or 'path' not in record or 'boxes' not in record:
        raise UserError(f'{where}: found {brief(record)}, expected the keys boxes and path')
    path, boxes = record['path'], record['boxes'] or []
    if not isinstance(path, str):
        raise UserError(f'{where}: path is {brief(path)}, expected the path of an image')
    if not isinstance(boxes, list):
        raise UserError(f'{where}: boxes is {brief(boxes)}, expected a list')
    return path, [_parse_box(box, f'{where}, box {n}') for n, box in enumerate(boxes, start=1)]


def _parse_box(box: Any, where: str) -> ObjectRecord:
    if not isinstance(box, dict) or not isinstance(box.get('label'), str):
        raise UserError(f'{where}: found {brief(box)}, expected label and {_CORNERS}')
    values = [box.get(key) for key in _CORNERS]
    numbers = [parse_number(value) for value in values]
    if not all(usable for _, usable in numbers):
        raise UserError(f'{where}: {_CORNERS} is {brief(values)}, expected four finite numbers')
    (x1, _), (y1, _), (x2, _), (y2, _) = numbers
    return ObjectRecord(box['label'], (x1, y1, x2, y2))
