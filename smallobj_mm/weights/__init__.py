# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Weights that come with the package: ``NAME.safetensors`` of the config of the same name."""

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def shipped_weights(name: str) -> Path:
    """File with the weights of a config that come with the package.

    Args:
        name: Name of the config without its ending, such as ``'ismallnet_s_nuaa'``.

    Raises:
        FileNotFoundError: If the package has no weights for it.
    """
    path = _FOLDER / f'{name}.safetensors'
    if not path.is_file():
        names = ', '.join(sorted(file.stem for file in _FOLDER.glob('*.safetensors'))) or 'none'
        raise FileNotFoundError(
            f'{name}: no weights come with the package for it, expected one of {names}; give the '
            'path of a checkpoint'
        )
    return path
