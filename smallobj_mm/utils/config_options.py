# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Which settings of a command line may be given to a config."""

import difflib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from smallobj_mm.utils.errors import UserError

#: Names at the top of a config that are read although the runner has no argument of that name.
_READ_BY_TOOLS = (
    'activation_checkpointing', 'auto_scale_lr', 'compile', 'custom_imports', 'data_preprocessor',
    'efficient_conv_bn_eval', 'find_unused_parameters', 'model_wrapper_cfg', 'runner_type',
    'sync_bn', 'tta_model', 'tta_pipeline',
)  # fmt: skip
_AT_THE_TOP = {*inspect.signature(Runner.__init__).parameters, *_READ_BY_TOOLS} - {'self', 'cfg'}
#: Likeness (2 x common letters / all letters) from which a name counts as misspelt.
_ALIKE = 0.8
#: Before a key: add it, whatever it is like.
ADD = '+'
_DELETE = '_delete_'


def check_options(cfg: Config, options: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse settings that would be added silently although they are misspelt.

    A key that the config has is set. One that it has not is

    - at the top an error, unless the runner or the tools read it: nothing else would;
    - in a dict an error if one of its keys is much alike, otherwise added, with a line in the log:
      components have arguments that a config does not name;
    - always added as ``+a.b=value``, or beside ``a._delete_=True``.

    What replaces a tuple becomes one.

    Args:
        cfg: The config.
        options: ``{'a.b': value}``; positions in lists are numbers.

    Returns:
        The settings without the signs.

    Raises:
        UserError: Names the key and the nearest right one.
    """
    checked = {key.removeprefix(ADD): value for key, value in options.items()}
    for given in options:
        key = given.removeprefix(ADD)
        before = _check(cfg, key, adding=given != key, options=checked)
        if isinstance(before, tuple) and isinstance(checked[key], list):
            checked[key] = tuple(checked[key])  # a command line writes both alike
    return checked


def _check(cfg: Config, key: str, adding: bool, options: Mapping[str, Any]) -> Any:
    """The value that a setting replaces; None if it adds one."""
    node: Any = cfg
    parts = key.split('.')
    for depth, part in enumerate(parts):
        here = '.'.join(parts[:depth])
        if isinstance(node, (list, tuple)):
            if not (part.isdigit() and int(part) < len(node)):
                raise UserError(
                    f'--cfg-options {key}: {here} is a list, found {part!r}, expected a position '
                    f'from 0 to {len(node) - 1}'
                )
            node = node[int(part)]
        elif not isinstance(node, (Mapping, Config)):
            raise UserError(
                f'--cfg-options {key}: {here} is {type(node).__name__} in the config, expected a '
                f'dict to set {part} in; set {here} itself'
            )
        elif part in node:
            node = node[part]
        else:
            replaced = any(
                f'{".".join([*parts[:i], _DELETE])}' in options for i in range(1, depth + 1)
            )
            if not (adding or replaced or part == _DELETE):
                _check_addition(cfg, node, key, here, part)
            return None
    return node


def _check_addition(cfg: Config, node: Mapping | Config, key: str, here: str, part: str) -> None:
    alike = difflib.get_close_matches(part, [str(name) for name in node], 1, _ALIKE)
    if not here and part in _AT_THE_TOP:
        return
    if not alike and here:
        print_log(f'--cfg-options adds {key}, which the config does not have', logger='current')
        return
    if alike:
        nearest = f'{here}.{alike[0]}' if here else alike[0]
    else:
        names = dict(_nested(cfg))
        alike = difflib.get_close_matches(part, names, 1, _ALIKE)
        nearest = names[alike[0]] if alike else ''
    raise UserError(
        f'--cfg-options {key}: the config has no {f"{here}.{part}" if here else part}'
        + (f', did you mean {nearest}?' if nearest else ' and nothing reads one.')
        + f' To add it on purpose, write {ADD}{key}'
    )


def _nested(node: Any, above: str = '') -> Iterator[tuple[str, str]]:
    """Keys of nested dicts and their paths; of equal keys the outermost comes last."""
    if isinstance(node, (Mapping, Config)):
        for key in node:
            yield from _nested(node[key], f'{above}{key}.')
        yield from ((str(key), f'{above}{key}') for key in node)
