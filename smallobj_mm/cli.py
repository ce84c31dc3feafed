# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The console command: ``smallobj-mm infer ...`` is ``python tools/infer.py ...``.

It is thin: it finds the tool, in ``.mim/tools`` of an installed package or in ``tools`` of the
repository, and runs it as the main program with the arguments that are left.
"""

from __future__ import annotations

import argparse
import json
import sys
import types
from pathlib import Path

from smallobj_mm.checkpoints.zoo import ZooModel, copy_model, list_zoo
from smallobj_mm.utils.errors import UserError, errors_in_one_line
from smallobj_mm.utils.packaged import packaged_folders
from smallobj_mm.version import __version__

PROGRAM = 'smallobj-mm'
#: Where the tools lie: those of the package, or of the repository that it lies in.
TOOL_FOLDERS = packaged_folders('tools')

#: Command -> its tool, and what it does.
COMMANDS = {
    'infer': ('infer.py', 'find small objects in images, folders and videos'),
    'page': ('page.py', 'the same in the browser'),
    'train': ('train.py', 'train a model'),
    'test': ('test.py', 'measure a checkpoint'),
    'export': ('deployment/export.py', 'write ONNX, OpenVINO or TorchScript'),
    'doctor': ('analysis_tools/dataset_doctor.py', 'what matters about a data set'),
    'browse': ('analysis_tools/browse_dataset.py', 'draw what a network is given'),
    'anchors': ('analysis_tools/fit_anchors.py', 'fit anchors to a data set'),
    'benchmark': ('analysis_tools/benchmark.py', 'measure the speed of a model'),
    'pretrain': ('pretrain_and_finetune.py', 'pretrain without labels, then train'),
    'to-coco': ('dataset_converters/to_coco.py', 'labels as COCO JSON'),
    'publish': ('model_converters/publish_model.py', 'weights alone, to hand on'),
}
#: The commands that are no tools.
MODELS = ('models', 'list the models that come with the package')
DOWNLOAD = ('download', 'weights and config of a model as files, as mim download gives them')


def usage() -> str:
    """What the command prints when it is asked for help."""
    rows = [*((name, text) for name, (_, text) in COMMANDS.items()), MODELS, DOWNLOAD]
    lines = '\n'.join(f'  {name:<10} {text}' for name, text in sorted(rows, key=_position))
    return (
        f'usage: {PROGRAM} COMMAND [ARGUMENT ...]\n\n{lines}\n\n'
        f'{PROGRAM} COMMAND --help tells the arguments of a command, {PROGRAM} --version the '
        'version.'
    )


def _position(row: tuple[str, str]) -> int:
    """``models`` and ``download`` come after the commands that use them."""
    names = list(COMMANDS)
    return names.index(row[0]) * 2 if row[0] in names else names.index('doctor') * 2 - 1


def find_tool(command: str) -> Path:
    """The file of a command.

    Raises:
        UserError: There is no such command.
        FileNotFoundError: The package was installed without its tools.
    """
    if command not in COMMANDS:
        known = ', '.join([*COMMANDS, MODELS[0], DOWNLOAD[0]])
        raise UserError(f'{PROGRAM} {command}: no such command; expected one of {known}')
    name = COMMANDS[command][0]
    for folder in TOOL_FOLDERS:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f'{PROGRAM} {command}: tools/{name} is not there, the package was installed without it; '
        'install the wheel, or from a clone with pip install -e .'
    )


def run_tool(path: Path, command: str, arguments: list[str]) -> None:
    """Run a tool as the main program, under the name of the command.

    Args:
        path: The tool.
        command: Name of the command, for the tool's own help.
        arguments: The command line without the command.
    """
    # As runpy does, which would call the program infer.py in its help. Workers of data loaders
    # find the main program by its file.
    main = types.ModuleType('__main__')
    main.__file__ = str(path)
    main.__dict__['__builtins__'] = __builtins__
    sys.modules['__main__'] = main
    sys.argv = [f'{PROGRAM} {command}', *arguments]
    exec(compile(path.read_bytes(), str(path), 'exec'), main.__dict__)


def print_models(arguments: list[str]) -> None:
    """The command ``models``."""
    parser = argparse.ArgumentParser(prog=f'{PROGRAM} models', description=MODELS[1])
    parser.add_argument('--json', action='store_true', help='as JSON')
    parser.add_argument('--shipped', action='store_true', help='only those with weights')
    args = parser.parse_args(arguments)
    models = [model for model in list_zoo() if model.weights or not args.shipped]
    if args.json:
        print(json.dumps([_as_json(model) for model in models], indent=1))
    else:
        print(models_table(models))


def download(arguments: list[str]) -> None:
    """The command ``download``."""
    parser = argparse.ArgumentParser(prog=f'{PROGRAM} download', description=DOWNLOAD[1])
    parser.add_argument('--config', nargs='+', required=True, metavar='NAME', help='of the models')
    parser.add_argument('--dest', default='.', metavar='DIR', help='(default: the current folder)')
    args = parser.parse_args(arguments)
    for name in args.config:
        print(*copy_model(name, args.dest), sep='\n')


def models_table(models: list[ZooModel]) -> str:
    """A line for each model."""
    head = ('name', 'task', 'trained on', 'weights', 'measured')
    rows = [head]
    for model in models:
        size = '-' if model.megabytes is None else f'shipped, {model.megabytes:.1f} MB'
        metrics = ', '.join(f'{name} {value:g}' for name, value in model.metrics.items())
        rows.append((model.name, model.task, model.data, size, metrics or '-'))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return '\n'.join(
        '  '.join(f'{cell:<{width}}' for cell, width in zip(row, widths)).rstrip() for row in rows
    )


def _as_json(model: ZooModel) -> dict:
    return dict(
        name=model.name, task=model.task, data=model.data, config=str(model.config),
        weights=None if model.weights is None else str(model.weights),
        megabytes=model.megabytes, metrics=model.metrics,
    )  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Run a command."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments else '--help'
    if command in ('-h', '--help', 'help'):
        print(usage())
    elif command == '--version':
        print(f'{PROGRAM} {__version__}')
    else:
        with errors_in_one_line():
            if command == MODELS[0]:
                print_models(arguments[1:])
            elif command == DOWNLOAD[0]:
                download(arguments[1:])
            else:
                run_tool(find_tool(command), command, arguments[1:])


if __name__ == '__main__':
    main()
