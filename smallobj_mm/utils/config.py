# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Reading a config together with the settings of the command line."""

import ast
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

#: Where a config names the files that it stands on.
_BASES = '_base_'


def read_config(path: str, options: Mapping[str, Any] | None = None) -> Config:
    """A config with settings that override its own.

    mmengine merges such settings into the finished config. One of the names at the top of a file
    (``data_root``, ``max_epochs``) would then change nothing: what is made of it was made before.
    Here such names get their new values in the file and in its bases, before they are evaluated.

    Args:
        path: The config.
        options: Settings as ``--cfg-options`` gives them: ``{'a.b': value}`` for nested ones.

    Returns:
        The config; its ``filename`` is ``path``.

    Raises:
        FileNotFoundError: There is no such file.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'config {path}: no such file; give the path of a config')
    cfg = Config.fromfile(path)
    if not options:
        return cfg
    values = {
        name: value
        for name, value in options.items()
        if name in cfg and not isinstance(value, dict) and not isinstance(cfg[name], dict)
    }
    if values and path.endswith('.py') and not Config._is_lazy_import(path):
        with tempfile.TemporaryDirectory() as folder:
            cfg = Config.fromfile(_rewrite(Path(path), values, Path(folder), {}))
        super(Config, cfg).__setattr__('_filename', os.path.abspath(path))
    cfg.merge_from_dict(dict(options))
    return cfg


def _rewrite(path: Path, values: Mapping[str, Any], folder: Path, done: dict[Path, str]) -> str:
    """Write a config and its bases into ``folder`` with new values; the path of the copy."""
    path = path.resolve()
    if path in done:
        return done[path]
    # Bases of one name may come from several folders; the config keeps its name, for the log.
    target = folder / (f'{len(done)}_{path.name}' if done else path.name)
    done[path] = str(target)
    lines = path.read_bytes().splitlines(keepends=True)
    for node in reversed(ast.parse(b''.join(lines)).body):  # from the end: positions stay
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
            continue
        name = node.targets[0].id
        if name == _BASES:
            bases = ast.literal_eval(node.value)
            new: Any = [
                base if '::' in base else _rewrite(path.parent / base, values, folder, done)
                for base in ([bases] if isinstance(bases, str) else bases)
            ]
        elif name in values:
            new = values[name]
        else:
            continue
        _replace(lines, node.value, repr(new).encode())
    target.write_bytes(b''.join(lines))
    return str(target)


def _replace(lines: list[bytes], node: ast.expr, text: bytes) -> None:
    """Put ``text`` in the place of an expression; lines that become empty stay as such."""
    assert node.end_lineno is not None and node.end_col_offset is not None  # set by ast.parse
    first, last = node.lineno - 1, node.end_lineno - 1
    head, tail = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
    lines[first : last + 1] = [head + text + tail, *[b''] * (last - first)]
