# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Label files of the Bosch Small Traffic Lights Dataset."""

import math
from typing import List, Tuple

import yaml

from ..files import read_text
from ..records import ObjectRecord

_ARROWS = ('', 'Left', 'Right', 'Straight', 'StraightLeft', 'StraightRight')

#: The 14 labels of the annotators -> the 4 states that the data set is evaluated on.
BOSCH_MERGE = {
    **{f'Green{arrow}': 'Green' for arrow in _ARROWS},
    **{f'Red{arrow}': 'Red' for arrow in _ARROWS},
    'Yellow': 'Yellow',
    'off': 'off',
}

_CORNERS = ('x_min', 'y_min', 'x_max', 'y_max')

# The C parser reads train.yaml in about a second, the Python one in half a minute.
_Loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


def parse_bosch_yaml(path: str) -> List[Tuple[str, List[ObjectRecord]]]:
    """Read a label file: a list of ``{boxes: [{label, x_min, y_min, x_max, y_max}], path}``.

    Args:
        path (str): train.yaml, additional_train.yaml or test.yaml.

    Returns:
        list[tuple[str, list[ObjectRecord]]]: Per image the path as written and its objects, with
        the labels of the file (not merged) and unchecked boxes in px.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a list, is empty, or a record or box lacks a key or has a
            value of the wrong kind.
    """
    try:
        content = yaml.load(read_text(path), Loader=_Loader)
    except yaml.YAMLError as error:
        detail = ' '.join(str(error).split())
        raise ValueError(f'{path}: not readable as YAML ({detail})') from error
    if content is None or content == []:
        raise ValueError(f'{path}: the list is empty; expected one record an image')
    if not isinstance(content, list):
        raise ValueError(
            f'{path}: found a {type(content).__name__}, expected a list of records with the keys '
            'boxes and path'
        )
    return [_parse_record(item, f'{path}, record {n}') for n, item in enumerate(content, start=1)]


def _parse_record(record: dict, where: str) -> Tuple[str, List[ObjectRecord]]:
    if not isinstance(record, dict) or 'path' not in record or 'boxes' not in record:
        raise ValueError(f'{where}: found {str(record)[:80]!r}, expected the keys boxes and path')
    boxes = record['boxes'] or []
    if not isinstance(boxes, list):
        raise ValueError(f'{where}: boxes is a {type(boxes).__name__}, expected a list')
    objects = [_parse_box(box, f'{where}, box {n}') for n, box in enumerate(boxes, start=1)]
    return str(record['path']), objects


def _parse_box(box: dict, where: str) -> ObjectRecord:
    if not isinstance(box, dict) or 'label' not in box:
        raise ValueError(f'{where}: found {str(box)[:80]!r}, expected label and {_CORNERS}')
    values = tuple(box.get(key) for key in _CORNERS)
    x1, y1, x2, y2 = (
        float(v) if isinstance(v, (int, float)) and not isinstance(v, bool) else math.nan
        for v in values
    )
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        raise ValueError(f'{where}: {_CORNERS} is {values}, expected four finite numbers')
    # An unquoted `off` is the boolean false in YAML 1.1.
    label = 'off' if box['label'] is False else str(box['label'])
    return ObjectRecord(label, (x1, y1, x2, y2))
