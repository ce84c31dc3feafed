# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Finding a config by its path or name, and reading it with the settings of a command line."""

import ast
import os
import re
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from smallobj_mm.compat.mmengine_internals import is_lazy_config
from smallobj_mm.utils.config_options import check_options
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.packaged import packaged_folders

#: Where configs lie: links or copies in an installed package, the repository's own folder.
CONFIG_FOLDERS = packaged_folders('configs')
#: Where a config names the files that it stands on.
_BASES = '_base_'
#: mmengine's names for parts of a config's path, in double braces.
_PREDEFINED: dict[str, Callable[[Path], str]] = {
    'fileDirname': lambda path: path.parent.as_posix(),
    'fileBasename': lambda path: path.name,
    'fileBasenameNoExtension': lambda path: path.stem,
    'fileExtname': lambda path: path.suffix,
}
#: What the program in a config raises where it is wrong.
_WRONG = (
    NameError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    ImportError,
)


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
        files = [file for file in sorted(folder.glob('*/*.py')) if file.parts[-2] != '_base_']
        hits = [file for file in files if file.stem == path.name]
        if len(hits) > 1:
            raise UserError(
                f'config {name}: {len(hits)} configs have this name, {hits[0]} and {hits[1]}; give '
                'the path of one'
            )
        if hits:
            return hits[0]
        names.update(file.stem for file in files)
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
        options: Settings as ``--cfg-options`` gives them: ``{'a.b': value}`` for nested ones; see
            :func:`~smallobj_mm.utils.config_options.check_options` for what may be added.

    Returns:
        The config; its ``filename`` is ``path``.

    Raises:
        FileNotFoundError: There is no such file and no such name, or a base is missing.
        UserError: Several configs have the name; the config, or a base, is broken; a setting is
            none of the config.
    """
    file = find_config(path)
    if not is_lazy(file):
        _check_bases(file)
    cfg = _in_one_line(file, lambda: _read(file))
    if not options:
        return cfg
    options = check_options(cfg, options)
    values = {
        name: value
        for name, value in options.items()
        if name in cfg and not isinstance(value, dict) and not isinstance(cfg[name], dict)
    }
    if values and not is_lazy(file):
        evaluated = _in_one_line(file, lambda: _evaluate(file.resolve(), values))
        cfg = Config(evaluated, filename=os.path.abspath(file), format_python_code=False)
    cfg.merge_from_dict(options)
    return cfg


def _read(file: Path) -> Config:
    """A config whose text is written down without yapf.

    mmengine writes the text at the start of a run and with every checkpoint; for the longest
    configs yapf takes seconds each time, and the lines read as well without.
    """
    cfg = Config.fromfile(str(file), format_python_code=False)
    if is_lazy(file):
        return cfg
    # Of a config that is not lazy, mmengine forgets the switch.
    return Config(
        ConfigDict(cfg.items()),
        cfg_text=cfg.text,
        filename=cfg.filename,
        env_variables=cfg.env_variables,
        format_python_code=False,
    )


def is_lazy(path: Path) -> bool:
    """Whether a config is one of mmengine's purely Pythonic kind; False for one that is broken."""
    try:
        return is_lazy_config(str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _check_bases(path: Path, above: tuple[Path, ...] = ()) -> None:
    """Read a config and all that it stands on, without evaluating anything but their names.

    Raises:
        FileNotFoundError: A base is missing.
        UserError: A file is not Python in UTF-8, or is among its own bases.
    """
    path = path.resolve()
    if path in above:
        circle = ' -> '.join(config.name for config in (*above[above.index(path) :], path))
        raise UserError(f'{path}: is among its own bases ({circle}); take one out of {_BASES}')
    if not path.is_file():
        raise FileNotFoundError(
            f'{path}: no such file, expected a config: {above[-1]} names it in {_BASES}'
        )
    for base in _bases(_parse(path), path):
        if '::' not in base:
            _check_bases(path.parent / base, (*above, path))


def _parse(path: Path) -> ast.Module:
    """The program of a config, with the parts of its path in their places.

    Raises:
        UserError: It is not Python in UTF-8.
    """
    try:
        text = path.read_text(encoding='utf-8')
        for name, value in _PREDEFINED.items():
            text = re.sub(r'{{\s*%s\s*}}' % name, value(path).replace('\\', '/'), text)
        # Of mmengine's other names those of bases are what they look like.
        return ast.parse(re.sub(r'{{\s*(_base_\.[\w.]+)\s*}}', r'\1', text), str(path))
    except SyntaxError as error:
        where, what = f', line {error.lineno}' if error.lineno else '', error.msg
    except UnicodeDecodeError as error:
        where, what = f', byte {error.start}', 'not UTF-8'
    except (ValueError, RecursionError, MemoryError) as error:
        where, what = '', str(error) or 'nested too deeply'
    raise UserError(f'{path}{where}: {what}; expected a config, which is Python in UTF-8')


def _bases(tree: ast.Module, path: Path) -> list[str]:
    """What a config stands on, as it names it."""
    named = [node for node in tree.body if _name(node) == _BASES]
    if not named:
        return []
    code = compile(ast.Expression(named[-1].value), str(path), 'eval')  # type: ignore[attr-defined]
    bases = _in_one_line(path, lambda: eval(code, {}))
    return [bases] if isinstance(bases, str) else list(bases)


def _name(node: ast.stmt) -> str | None:
    """The name that a statement gives a value to, if it is of that simple kind."""
    simple = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    return node.targets[0].id if simple else None  # type: ignore[attr-defined]


def _evaluate(path: Path, values: Mapping[str, Any]) -> ConfigDict:
    """Evaluate a config and its bases with new values of names at their tops."""
    tree, below = _parse(path), ConfigDict()
    for base in _bases(tree, path):
        if '::' in base:  # of an installed package: mmengine knows where
            below.update(Config.fromstring(f'{_BASES} = [{base!r}]', '.py').items())
        else:
            below.update(_evaluate((path.parent / base).resolve(), values))
    tree.body = [node for node in tree.body if _name(node) != _BASES]
    for node in tree.body:
        if (name := _name(node)) is not None and name in values:
            node.value = ast.parse(repr(values[name]), mode='eval').body  # type: ignore[attr-defined]
    scope: dict[str, Any] = {_BASES: below}
    exec(compile(ast.fix_missing_locations(tree), str(path), 'exec'), scope)
    own = {name: scope[name] for name in scope if name != _BASES and not name.startswith('__')}
    cfg = Config(below)
    cfg.merge_from_dict(own, allow_list_keys=False)
    return ConfigDict(cfg.items())


def _in_one_line(path: Path, evaluate: Callable[[], Any]) -> Any:
    """Evaluate the program of a config; what is wrong with it is said with its place.

    Raises:
        UserError: It raised an error.
    """
    try:
        return evaluate()
    except UserError:
        raise
    except _WRONG as error:
        if isinstance(error, FileNotFoundError):
            raise
        lines = [
            f'{frame.filename}, line {frame.lineno}'
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename.endswith('.py')
            and '_base_' in frame.filename
            or frame.filename == str(path.resolve())
        ]
        what = str(error.args[0] if error.args else error).partition('\n')[0]
        raise UserError(
            f'{lines[-1] if lines else path}: cannot be evaluated ({type(error).__name__}: '
            f'{what}); correct the config'
        ) from error
