# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The floors of the package, read from its imports: no arrow runs up, none is hidden."""

import ast
import sys
from pathlib import Path
from typing import Iterator

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / 'smallobj_mm'

#: Part of the package -> its floor. A part may import parts of its own floor and below.
FLOORS = {
    'version': 0,
    'registry': 0,
    'compat': 0,
    'utils': 1,
    'weights': 1,
    'datasets': 2,
    'checkpoints': 3,
    'models': 3,
    'evaluation': 4,
    'engine': 5,
    'visualization': 5,
    'deployment': 6,
    'inference': 7,
    'benchmark': 8,
    'app': 9,
    'cli': 9,
}

#: Modules that may be imported inside a function: packages that are optional, or slow to import
#: and seldom needed, or missing on some systems.
OPTIONAL = {
    'gradio', 'mmdet', 'mmpretrain', 'mmseg', 'nncf', 'onnx', 'onnxruntime', 'openvino', 'pandas',
    'pyarrow', 'pycocotools', 'ray', 'resource',
    'safetensors', 'scipy', 'supervision', 'torchvision',
}  # fmt: skip

#: Files whose imports inside functions have a reason of their own, written there.
MAY_HIDE = {
    'app/main.py', 'compat/__init__.py', 'compat/mmcv_ext.py', 'compat/torchvision_ops.py',
}  # fmt: skip

#: The one place where attributes of mmengine that begin with an underscore may be used.
PRIVATE = 'compat/mmengine_internals.py'

FILES = sorted(PACKAGE.rglob('*.py'))


def own_files() -> list[Path]:
    return [file for file in FILES if '.mim' not in file.parts]


def name_of(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix('.py')


def imports(tree: ast.AST, file: Path) -> Iterator[tuple[ast.AST, str]]:
    """Import statements and the absolute names of the modules."""
    package = ['smallobj_mm', *file.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            yield node, '.'.join([*base, *([node.module] if node.module else [])])
        elif isinstance(node, ast.ImportFrom):
            yield node, node.module or ''


def floor_violations(file: Path) -> list[str]:
    here = part_of(file)
    lines = []
    for node, module in imports(ast.parse(file.read_text(encoding='utf-8')), file):
        parts = module.split('.')
        if parts[0] != 'smallobj_mm' or len(parts) < 2:
            continue
        if FLOORS[parts[1]] > FLOORS[here]:
            lines.append(f'{name_of(file)}:{node.lineno} imports {module}, a floor above {here}')
    return lines


def hidden_imports(file: Path) -> list[str]:
    tree = ast.parse(file.read_text(encoding='utf-8'))
    lines = []
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        for node, module in imports(function, file):
            if module.split('.')[0] not in OPTIONAL:
                lines.append(f'{name_of(file)}:{node.lineno} imports {module} inside a function')
    return lines


def test_every_part_has_a_floor():
    parts = {part_of(file) for file in own_files()} - {'__init__'}
    assert parts <= set(FLOORS)


@pytest.mark.parametrize('file', own_files(), ids=name_of)
def test_no_import_runs_up(file):
    if part_of(file) == '__init__':
        pytest.skip('the face of the package imports all of it')
    assert floor_violations(file) == []


@pytest.mark.parametrize('file', own_files(), ids=name_of)
def test_no_import_is_hidden_in_a_function(file):
    if name_of(file) in MAY_HIDE:
        pytest.skip('has a reason of its own, written there')
    assert hidden_imports(file) == []


def test_the_check_sees_what_it_should(tmp_path, monkeypatch):
    """A file with one of each is found out."""
    monkeypatch.setitem(globals(), 'PACKAGE', tmp_path)
    file = tmp_path / 'utils' / 'bad.py'
    file.parent.mkdir()
    file.write_text(
        'from smallobj_mm.inference import sources\n'
        'def f():\n    import json\n    from ..models import building\n    import ray\n'
    )
    assert [line.split(' imports ')[1] for line in floor_violations(file)] == [
        'smallobj_mm.inference, a floor above utils',
        'smallobj_mm.models, a floor above utils',
    ]
    assert len(hidden_imports(file)) == 2


#: Attributes with an underscore that are public: of named tuples.
PUBLIC = {'_asdict', '_fields', '_replace'}


def private_uses(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Names with one leading underscore that belong to another package's module or object."""
    own = {'self', 'cls'} | {n.name for n in ast.walk(tree) if isinstance(n, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not (node.module or '').startswith('smallobj_mm'):
            yield from (
                (node.lineno, alias.name)
                for alias in node.names
                if alias.name.startswith('_') and not node.level
            )
        elif (
            isinstance(node, ast.Attribute)
            and node.attr.startswith('_')
            and not node.attr.startswith('__')
            and node.attr not in PUBLIC
            and isinstance(node.value, ast.Name)
            and node.value.id not in own
        ):
            yield node.lineno, f'{node.value.id}.{node.attr}'


#: Of NumPy and PyTorch: plain data told from code, the base classes of layers.
NO_OTHER_WAY = {
    'multiarray._reconstruct', 'np._core', '_BatchNorm', '_ConvNd', '_InstanceNorm',
}  # fmt: skip


@pytest.mark.parametrize('file', own_files(), ids=name_of)
def test_no_private_name_of_another_package(file):
    if name_of(file).startswith(PRIVATE):
        pytest.skip('the place for them')
    uses = private_uses(ast.parse(file.read_text(encoding='utf-8')))
    assert [(line, name) for line, name in uses if name not in NO_OTHER_WAY] == []


def test_standard_library_is_not_optional():
    assert not OPTIONAL & set(sys.stdlib_module_names) - {'resource'}


@pytest.mark.parametrize(
    'file', sorted((PACKAGE.parent / 'tools').rglob('*.py')), ids=lambda path: path.stem
)
def test_tools_can_be_called(file):
    """``main(argv)`` raises, and the command alone turns errors into one line."""
    if file.stem != 'page':  # its main is the package's
        (main,) = [n for n in ast.parse(file.read_text()).body if getattr(n, 'name', '') == 'main']
        assert [argument.arg for argument in main.args.args] == ['argv']
        assert not any('errors_in_one_line' in ast.unparse(n) for n in main.decorator_list)
        assert 'errors_in_one_line' not in ast.unparse(main)
    guard = ast.parse(file.read_text()).body[-1]
    assert isinstance(guard, ast.If) and 'errors_in_one_line' in ast.unparse(guard)
