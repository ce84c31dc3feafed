# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Finding a config by its path or name, and reading it with the settings of a command line."""

import ast
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from smallobj_mm.compat.mmengine_internals import is_lazy_config, set_config_filename
from smallobj_mm.utils.errors import UserError

_PACKAGE = Path(__file__).resolve().parent.parent
#: Where configs lie: links or copies in an installed package, the repository's own folder.
CONFIG_FOLDERS = (_PACKAGE / '.mim' / 'configs', _PACKAGE.parent / 'configs')
#: Where a config names the files that it stands on.
_BASES = '_base_'


def find_config(name: str | Path) -> Path:
    """The file of a config.

    Args:
        name: Path of a config, or the name of one that comes with the package, such as
            ``'ismallnet_s_nuaa'``.

    Raises:
        FileNotFoundError: There is no such file and no such name.
        UserError: Several configs have the name.
    """
    path = Path(name)
    if path.suffix == '.py' and path.is_file():
        return path
    if path.suffix == '.py' or len(path.parts) != 1:
        raise FileNotFoundError(
            f'config {name}: no such file; give the path of a config, or a name without .py'
        )
    names: set[str] = set()
    for folder in CONFIG_FOLDERS:
        # Not rglob: it does not follow the link that .mim/configs is.
        found = [file for file in sorted(folder.glob('*/*.py')) if file.parts[-2] != '_base_']
        hits = [file for file in found if file.stem == path.name]
        if len(hits) > 1:
            raise UserError(
                f'config {name}: {len(hits)} configs have this name, {hits[0]} and {hits[1]}; give '
                'the path of one'
            )
        if hits:
            return hits[0]
        names.update(file.stem for file in found)
    known = ', '.join(sorted(names)) or 'none (the package was installed without its configs)'
    raise FileNotFoundError(
        f'config {name}: neither a file nor the name of a config of the package; expected a path '
        f'that ends in .py or one of {known}'
    )


def read_config(path: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """A config with settings that override its own.

    mmengine merges such settings into the finished config. One of the names at the top of a file
    (``data_root``, ``max_epochs``) would then change nothing: what is made of it was made before.
    Here such names get their new values in the file and in its bases, before they are evaluated.

    Args:
        path: Path of the config, or the name of one that comes with the package.
        options: Settings as ``--cfg-options`` gives them: ``{'a.b': value}`` for nested ones.

    Returns:
        The config; its ``filename`` is ``path``.

    Raises:
        FileNotFoundError: There is no such file and no such name.
        UserError: Several configs have the name.
    """
    path = str(find_config(path))
    cfg = Config.fromfile(path)
    if not options:
        return cfg
    values = {
        name: value
        for name, value in options.items()
        if name in cfg and not isinstance(value, dict) and not isinstance(cfg[name], dict)
    }
    if values and path.endswith('.py') and not is_lazy_config(path):
        with tempfile.TemporaryDirectory() as folder:
            cfg = Config.fromfile(_rewrite(Path(path), values, Path(folder), {}))
        set_config_filename(cfg, os.path.abspath(path))
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
    lines = _with_own_place(path).splitlines(keepends=True)
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


def _with_own_place(path: Path) -> bytes:
    """A config's text, with what mmengine would put in for ``{{ fileDirname }}`` and the like.

    Done here because it is about the config's own file, not about the copy in another folder.
    """
    values = {
        'fileDirname': path.parent.as_posix(),
        'fileBasename': path.name,
        'fileBasenameNoExtension': path.stem,
        'fileExtname': path.suffix,
    }
    text = path.read_bytes()
    for name, value in values.items():
        text = re.sub(rf'{{{{\s*{name}\s*}}}}'.encode(), lambda _: value.encode(), text)  # noqa: B023
    return text


def _replace(lines: list[bytes], node: ast.expr, text: bytes) -> None:
    """Put ``text`` in the place of an expression; lines that become empty stay as such."""
    assert node.end_lineno is not None and node.end_col_offset is not None  # set by ast.parse
    first, last = node.lineno - 1, node.end_lineno - 1
    head, tail = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
    lines[first : last + 1] = [head + text + tail, *[b''] * (last - first)]
