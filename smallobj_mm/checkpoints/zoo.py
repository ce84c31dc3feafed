# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The models that come with the package: their configs, weights, and what is known about them."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from smallobj_mm.checkpoints.reading import read_header
from smallobj_mm.utils.configs import CONFIG_FOLDERS, read_config
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.io import PathLike, atomic_write_bytes, atomic_write_text
from smallobj_mm.weights import shipped_weights

#: Default scope of a config -> what its models do.
_TASKS = {'mmdet': 'detection', 'mmseg': 'segmentation', 'mmpretrain': 'pretraining'}


@dataclass(frozen=True)
class ZooModel:
    """A model of the zoo.

    Attributes:
        name: Of its config, and of its weights if they come with the package.
        task: 'detection', 'segmentation' or 'pretraining'.
        data: What it is trained on.
        config: File of its config.
        weights: File of the weights that come with the package, or None.
        metrics: Measured values by name; empty if none are recorded.
    """

    name: str
    task: str
    data: str
    config: Path
    weights: Path | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def megabytes(self) -> float | None:
        """Size of the weights, in 10**6 bytes."""
        return None if self.weights is None else self.weights.stat().st_size / 1e6


def list_zoo() -> list[ZooModel]:
    """The models that the metafiles beside the configs name, those with weights first.

    Raises:
        FileNotFoundError: The package was installed without its configs.
        UserError: A metafile cannot be read.
    """
    folder = next((folder for folder in CONFIG_FOLDERS if folder.is_dir()), None)
    if folder is None:
        raise FileNotFoundError(
            'the package was installed without its configs; install the wheel, or from a clone '
            'with pip install -e .'
        )
    models = [
        _model(entry, folder) for file in sorted(folder.glob('*/metafile.yml'))
        for entry in _entries(file)
    ]  # fmt: skip
    return sorted(models, key=lambda model: (model.weights is None, model.task, model.name))


def copy_model(name: str, folder: PathLike) -> tuple[Path, Path]:
    """Put weights and config into a folder, under the names that ``mim download`` gives them.

    Args:
        name: Of a config whose weights come with the package.
        folder: Made where it is not there.

    Returns:
        ``NAME.safetensors``, and ``NAME.py``, which needs no other config.

    Raises:
        FileNotFoundError: No weights come with the package for it.
    """
    source = shipped_weights(name)
    weights, config = Path(folder) / source.name, Path(folder) / f'{name}.py'
    text = read_config(name).pretty_text
    weights.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(weights, source.read_bytes())
    atomic_write_text(config, text)
    return weights, config


def read_metrics(header: dict[str, str]) -> dict[str, float]:
    """The measured values in the header of a file of weights (key ``metrics``, JSON)."""
    try:
        metrics = json.loads(header.get('metrics', '{}'))
        return {str(name): float(value) for name, value in metrics.items()}
    except (AttributeError, TypeError, ValueError):
        return {}


def _entries(file: Path) -> list[dict]:
    try:
        content = yaml.safe_load(file.read_text(encoding='utf-8'))
        return list(content['Models'])
    except (yaml.YAMLError, KeyError, TypeError, OSError) as error:
        reason = ' '.join(str(error).split())
        raise UserError(f'{file}: no metafile with Models ({reason}); reinstall it') from None


def _model(entry: dict, folder: Path) -> ZooModel:
    name = entry['Name']
    config = folder.parent / entry['Config']
    try:
        weights: Path | None = shipped_weights(name)
    except FileNotFoundError:
        weights = None
    metrics: dict[str, float] = {}
    for result in entry.get('Results') or []:
        values = (result.get('Metrics') or {}).items()
        metrics.update({k: float(v) for k, v in values if isinstance(v, (int, float))})
    if weights is not None:
        metrics.update(read_metrics(read_header(weights)))
    data = (entry.get('Metadata') or {}).get('Training Data', '')
    return ZooModel(name, _task(config), str(data), config, weights, metrics)


def _task(config: Path) -> str:
    """What a config's models do, from its text and that of its bases, which are not run."""
    scope = _default_scope(config.resolve())
    return _TASKS.get(scope or '', 'unknown')


def _default_scope(config: Path) -> str | None:
    values: dict[str, ast.expr] = {}
    for node in ast.parse(config.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = node.value
    if 'default_scope' in values:
        return ast.literal_eval(values['default_scope'])
    bases = ast.literal_eval(values['_base_']) if '_base_' in values else []
    for base in [bases] if isinstance(bases, str) else bases:
        if '::' not in base:
            scope = _default_scope((config.parent / base).resolve())
            if scope is not None:
                return scope
    return None
