# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""YAML of unknown origin: plain lists, mappings and texts, within limits."""

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import yaml

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.messages import brief

from ..files import read_text

#: Largest file, in bytes. The label files of Bosch have 1.7 MB.
MAX_BYTES = 32 << 20
#: Deepest nesting; label files need 4.
MAX_DEPTH = 32
#: Most values, those behind an alias counted each time it is used.
MAX_VALUES = 2_000_000
#: Longest text of one value, in characters.
MAX_TEXT = 10_000

_Loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
_NULL = ('', '~', 'null', 'Null', 'NULL')


class _Node(NamedTuple):
    """A finished value and the number of values in it, itself included."""

    value: Any
    size: int


class _Open:
    """A list or mapping whose end was not read yet."""

    def __init__(self, value: Any, anchor: Optional[str], where: str) -> None:
        self.value = value
        self.anchor = anchor
        self.where = where
        self.count = 1
        self.key: Optional[str] = None

    def add(self, node: _Node, where: str) -> None:
        """Take the next item, key or value."""
        self.count += node.size
        if isinstance(self.value, list):
            self.value.append(node.value)
        elif self.key is None:
            key = '' if node.value is None else node.value
            if not isinstance(key, str):
                raise UserError(f'{where}: a {type(key).__name__} as key, expected text')
            if key in self.value:
                raise UserError(f'{where}: the key {brief(key)} is there twice, expected once')
            self.key = key
        else:
            self.value[self.key] = node.value
            self.key = None


def read_yaml(path: str) -> Any:
    """Read a YAML file without constructing anything but lists, mappings and texts.

    Every scalar is its text ('0.5', 'off', '2001-01-01'), an empty one or ``null`` is None: what
    a value means is up to the reader of the format, and no type of YAML can fail on the way.
    Nothing here recurses, and aliases count by what they stand for, so that nesting and aliases
    cost neither the stack nor the memory.

    Args:
        path (str): UTF-8 file with at most one document.

    Returns:
        list | dict | str | None: The content; keys are texts. Aliases share their value.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If it is no YAML, has several documents, a key twice or that is no text, or is
            beyond :data:`MAX_BYTES`, :data:`MAX_DEPTH`, :data:`MAX_VALUES` or :data:`MAX_TEXT`.
    """
    text = read_text(path, MAX_BYTES)
    try:
        return _build(yaml.parse(text, Loader=_Loader), path)
    except (yaml.YAMLError, RecursionError) as error:
        detail = ' '.join(str(error).split())[:200]
        raise UserError(f'{path}: not readable as YAML ({detail})') from error


def _build(events: Iterator[yaml.Event], path: str) -> Any:
    """The value that the events of a parser describe."""
    root = _Open([], None, path)
    stack: List[_Open] = [root]
    anchors: Dict[str, _Node] = {}
    pending = set()  # anchors of values whose end was not read yet
    documents = 0
    for event in events:
        mark = event.start_mark
        where = f'{path}, line {mark.line + 1}' if mark is not None else path
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise UserError(f'{where}: a second document, expected one')
        elif isinstance(event, yaml.ScalarEvent):
            node = _Node(_scalar(event, where), 1)
            if event.anchor is not None:
                anchors[event.anchor] = node
            _add(stack, node, where)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in pending or event.anchor not in anchors:
                what = 'stands inside of what it means' if event.anchor in pending else 'is unknown'
                raise UserError(f'{where}: the alias *{brief(event.anchor)[1:-1]} {what}')
            _add(stack, anchors[event.anchor], where)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(stack) > MAX_DEPTH:
                raise UserError(f'{where}: nested more than {MAX_DEPTH} levels deep')
            value: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
            stack.append(_Open(value, event.anchor, where))
            if event.anchor is not None:
                pending.add(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            done = stack.pop()
            node = _Node(done.value, done.count)
            if done.anchor is not None:
                anchors[done.anchor] = node
                pending.discard(done.anchor)
            _add(stack, node, done.where)
    return root.value[0] if root.value else None


def _add(stack: List[_Open], node: _Node, where: str) -> None:
    stack[-1].add(node, where)
    # The values of those around it are not counted in yet, at most a factor of the depth.
    if stack[-1].count > MAX_VALUES:
        raise UserError(
            f'{where}: more than {MAX_VALUES} values, those behind aliases counted each time; '
            'expected an annotation file of that size at most: split it'
        )


def _scalar(event: yaml.ScalarEvent, where: str) -> Optional[str]:
    if len(event.value) > MAX_TEXT:
        raise UserError(
            f'{where}: a value of {len(event.value)} characters, expected at most {MAX_TEXT}'
        )
    is_plain = event.style in (None, '') and event.implicit[0]
    return None if is_plain and event.value in _NULL else event.value


def parse_number(text: Any) -> Tuple[float, bool]:
    """The finite number that a scalar of :func:`read_yaml` spells, and whether it spells one."""
    try:
        value = float(text) if isinstance(text, str) else float('nan')
    except ValueError:
        value = float('nan')
    usable = value - value == 0  # neither NaN nor infinite
    return value, usable
