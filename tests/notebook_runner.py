#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Runs the cells of a notebook without Jupyter; as a program, writes their outputs into it.

python tests/notebook_runner.py docs/first_look.ipynb
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import ast
import base64
import contextlib
import io
import json
import os
import pprint
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

#: Pictures are stored as JPEG of this width in px and quality.
WIDTH, QUALITY = 640, 80


def source_of(cell: dict) -> str:
    """The text of a cell."""
    return ''.join(cell['source'])


def execute(notebook: dict, folder: Path) -> list[list[dict]]:
    """Outputs of each code cell of a notebook that lies in a folder.

    Cells run one after the other in one namespace; the value of a last expression is shown. What
    the cells display goes through the two functions of IPython that the package calls.
    """
    scope: dict[str, Any] = {'__name__': '__main__'}
    outputs, shown = [], []
    ipython, display = types.ModuleType('IPython'), types.ModuleType('IPython.display')
    ipython.get_ipython = lambda: ipython  # type: ignore[attr-defined]
    display.display = lambda value: shown.append(as_output(value))  # type: ignore[attr-defined]
    modules = {'IPython': ipython, 'IPython.display': display}
    with working_in(folder), standing_in(modules):
        for cell in notebook['cells']:
            if cell['cell_type'] != 'code':
                continue
            shown.clear()
            tree = ast.parse(source_of(cell))
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(tree, 'cell', 'exec'), scope)
                if last is not None:
                    value = eval(compile(ast.Expression(last.value), 'cell', 'eval'), scope)
                    if value is not None:
                        display.display(value)
            if printed.getvalue():
                shown.insert(0, dict(output_type='stream', name='stdout', text=printed.getvalue()))
            outputs.append(list(shown))
    return outputs


@contextlib.contextmanager
def standing_in(modules: dict[str, types.ModuleType]) -> Iterator[None]:
    """Modules under their names; others that are imported meanwhile stay imported."""
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Notebooks run in their own folder."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def as_output(value: Any) -> dict:
    """What a notebook stores of a value."""
    data = {'text/plain': pprint.pformat(value, width=100, sort_dicts=False)}
    if hasattr(value, '_repr_html_') and value._repr_html_() is not None:
        data['text/html'] = value._repr_html_()
    picture = None
    if isinstance(value, Image.Image):  # its text would be an address in memory
        picture, data['text/plain'] = value, f'<{value.width} x {value.height} px>'
    elif hasattr(value, '_repr_png_'):
        picture = Image.open(io.BytesIO(value._repr_png_()))
    if picture is not None:
        picture = picture.convert('RGB')
        picture.thumbnail((WIDTH, WIDTH))
        stream = io.BytesIO()
        picture.save(stream, 'JPEG', quality=QUALITY)
        data['image/jpeg'] = base64.b64encode(stream.getvalue()).decode()
    return dict(output_type='display_data', data=data, metadata={})


def main(path: Path) -> None:
    """Write the outputs."""
    notebook = json.loads(path.read_text(encoding='utf-8'))
    outputs = iter(execute(notebook, path.parent))
    for number, cell in enumerate(c for c in notebook['cells'] if c['cell_type'] == 'code'):
        cell['outputs'], cell['execution_count'] = next(outputs), number + 1
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    path.write_text(text + '\n', encoding='utf-8')
    print(f'{path}: {os.path.getsize(path) / 1000:.0f} kB')


if __name__ == '__main__':
    main(Path(sys.argv[1]))
