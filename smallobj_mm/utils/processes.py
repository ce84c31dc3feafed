# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Running a tool of the project in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .errors import UserError

#: The folder that this package is imported from.
_IMPORT_FOLDER = Path(__file__).resolve().parents[2]


def run_tool(tool: str | Path, *arguments: object, announce: bool = False) -> None:
    """Run a tool; what it prints goes to the user.

    Args:
        tool: File of the tool. It imports this package, whatever the working folder.
        *arguments: Its command line, as strings or what ``str`` makes one of.
        announce: Print the command before.

    Raises:
        SystemExit: With the status of the tool if it fails; the tool has said why.
    """
    command = _command(tool, arguments)
    if announce:
        print('==', *command[1:], flush=True)
    status = subprocess.run(command, env=_environment()).returncode
    if status:
        sys.exit(status)


def read_tool_output(tool: str | Path, *arguments: object) -> str:
    """Run a tool and return what it prints.

    Args:
        tool: File of the tool.
        *arguments: Its command line.

    Raises:
        UserError: The tool fails; with the end of what it wrote to stderr.
    """
    process = subprocess.run(
        _command(tool, arguments), env=_environment(), capture_output=True, text=True
    )
    if process.returncode:
        raise UserError(
            f'{Path(tool).name}: exit status {process.returncode}; its last words are '
            f'{process.stderr.strip()[-300:]}'
        )
    return process.stdout


def _command(tool: str | Path, arguments: tuple[object, ...]) -> list[str]:
    return [sys.executable, str(tool), *map(str, arguments)]


def _environment() -> dict[str, str]:
    """This process's, in which the package is found first where it is now."""
    folders = [str(_IMPORT_FOLDER), os.environ.get('PYTHONPATH')]
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, folders))}
