# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Documentation is complete: docstrings, reference, READMEs of configs, changelog."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smallobj_mm import __version__

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path
    for folder in ('smallobj_mm', 'tools', 'docs')
    for path in (ROOT / folder).rglob('*.py')
    if not {'.mim', '_build'} & set(path.relative_to(ROOT).parts)
)


def undocumented(node: ast.AST, name: str) -> Iterator[str]:
    """Names of what is public in a module or class and has no docstring."""
    if ast.get_docstring(node) is None:
        yield name
    for child in getattr(node, 'body', ()):
        if not isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if child.name.startswith('_'):
            continue
        if isinstance(child, ast.ClassDef):
            yield from undocumented(child, f'{name}:{child.name}')
        elif ast.get_docstring(child) is None:
            yield f'{name}:{child.name}'


def test_everything_public_has_a_docstring():
    assert len(SOURCES) > 150
    missing = [
        name
        for path in SOURCES
        for name in undocumented(
            ast.parse(path.read_text(encoding='utf-8')), str(path.relative_to(ROOT))
        )
    ]
    assert not missing


def test_undocumented_finds_what_is_missing():
    source = 'def f(): "x"\nclass A:\n  def g(self): pass\n  def _h(self): pass\n'
    assert list(undocumented(ast.parse(source), 'm')) == ['m', 'm:A', 'm:A:g']


def test_reference_has_every_package():
    """The page of a package has all its modules, by its template."""
    package = ROOT / 'smallobj_mm'
    folders = {
        '.'.join(path.parent.relative_to(ROOT).parts) for path in package.rglob('__init__.py')
    }
    with_modules = {'.'.join(path.parent.relative_to(ROOT).parts) for path in package.rglob('*.py')}
    index = (ROOT / 'docs/api/index.rst').read_text(encoding='utf-8')
    assert with_modules == folders, 'folders with modules and without __init__.py'
    assert set(re.findall(r'^   (smallobj_mm[\w.]*)$', index, re.M)) == folders


def test_every_family_of_configs_has_a_readme():
    for folder in (ROOT / 'configs').iterdir():
        if folder.is_dir() and folder.name != '_base_':
            text = (folder / 'README.md').read_text(encoding='utf-8')
            names = [config.stem for config in folder.glob('*.py')]
            assert text.startswith('# ') and any(name in text for name in names), folder


def test_changelog_has_the_version():
    text = (ROOT / 'CHANGELOG.md').read_text(encoding='utf-8')
    newest = re.search(r'^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$', text, re.M)
    assert newest is not None and newest.group(1) == __version__


def test_contributing_names_what_is_there():
    text = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    commands = re.search(r'```bash\n(.*?)```', text, re.S).group(1).strip().splitlines()
    assert len(commands) <= 5 and any('make test' in line for line in commands)
    targets = set(re.findall(r'^(\w+):', (ROOT / 'Makefile').read_text(encoding='utf-8'), re.M))
    assert set(re.findall(r'\bmake (\w+)', text)) <= targets
    for name in re.findall(r'`((?:smallobj_mm|configs|tools|tests|docs)/[\w/.]+)`', text):
        if '/a/' not in name and 'test_a' not in name:
            assert (ROOT / name).exists(), name


@pytest.mark.skipif(importlib.util.find_spec('sphinx') is None, reason='needs sphinx')
def test_reference_builds_without_warnings(tmp_path):
    source = tmp_path / 'docs'
    shutil.copytree(
        ROOT / 'docs', source, ignore=shutil.ignore_patterns('_build', 'generated', '__pycache__')
    )
    command = [sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-q', '-b', 'html']
    done = subprocess.run(
        [*command, str(source), str(tmp_path / 'html')],
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    page = tmp_path / 'html/api/generated/smallobj_mm.inference.html'
    assert 'smallobj_mm.inference.inferencer.SmallObjectInferencer' in page.read_text('utf-8')
