# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Folders of made files that know what they were made from."""

import json
import os
import os.path as osp
import secrets
import shutil
from typing import Callable, Optional

# PyTorch depends on filelock, so that it is always there.
from filelock import FileLock

from smallobj_mm.utils.errors import UserError


def read_stamp(folder: str, stamp: str) -> Optional[dict]:
    """What a folder was made from.

    Args:
        folder (str): The folder.
        stamp (str): Name of the file in it that tells.

    Returns:
        dict | None: The parameters; None where there is no stamp, {} where it is damaged.
    """
    try:
        with open(osp.join(folder, stamp), encoding='utf-8') as file:
            parameters = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        return {}
    return parameters if isinstance(parameters, dict) else {}


def make_stamped_folder(
    out_dir: str, stamp: str, parameters: dict, write: Callable[[str, dict], None]
) -> bool:
    """Make a folder whole or not at all, unless it is there with these parameters.

    The folder is made beside its place and renamed, and a lock lets only one process make it, so
    that several may start at once. One that was made here with other parameters is replaced.

    Args:
        out_dir (str): The folder.
        stamp (str): Name of the file in it that holds the parameters.
        parameters (dict): What the files depend on, as JSON holds it.
        write (Callable): Writes all files: ``write(folder, parameters)``.

    Returns:
        bool: Whether it was made; False if it was there.

    Raises:
        UserError: If ``out_dir`` holds files that this function did not make.
    """
    out_dir = osp.realpath(out_dir)
    if read_stamp(out_dir, stamp) == parameters:
        return False
    parent, name = osp.split(out_dir)
    os.makedirs(parent, exist_ok=True)
    with FileLock(osp.join(parent, f'.{name}.lock')):
        stamped = read_stamp(out_dir, stamp)
        if stamped == parameters:
            return False
        if stamped is None and osp.isdir(out_dir) and os.listdir(out_dir):
            raise UserError(
                f'{out_dir}: holds files but no {stamp}, so it is not a synthetic data set made '
                'here; expected an empty or absent folder: choose another data_root'
            )
        # Left over from processes that were killed; nobody else writes while the lock is held.
        for leftover in os.listdir(parent):
            if leftover.startswith(f'.{name}.') and leftover.endswith('.tmp'):
                shutil.rmtree(osp.join(parent, leftover), ignore_errors=True)
        new, old = (osp.join(parent, f'.{name}.{secrets.token_hex(4)}.tmp') for _ in range(2))
        try:
            write(new, parameters)
            with open(osp.join(new, stamp), 'w', encoding='utf-8') as file:
                file.write(json.dumps(parameters, indent=2) + '\n')
            if osp.isdir(out_dir):
                os.rename(out_dir, old)
            os.rename(new, out_dir)
        finally:
            for folder in (new, old):
                shutil.rmtree(folder, ignore_errors=True)
    return True
