# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The shipped configs, and what the tests read in them."""

import re
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
LEAVES = sorted(
    str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob('*.py') if '_base_' not in path.parts
)
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def loaders(cfg: dict) -> list[dict]:
    """The loaders that a config has; one that pretrains may have none but for training."""
    return [cfg[name] for name in LOADERS if cfg.get(name)]


def bases(path: Path) -> list[Path]:
    """The files that a config names as its bases, those of installed packages left out."""
    found = re.search(r'^_base_ = (\[.*?\]|.*?$)', path.read_text(), re.M | re.S)
    names = re.findall(r'[\'"]([^\'"]+)[\'"]', found.group(1)) if found else []
    return [path.parent / name for name in names if '::' not in name]


def depth(path: Path) -> int:
    """Levels of bases below a config."""
    return max((1 + depth(base) for base in bases(path)), default=0)


def raw_datasets(dataset: dict) -> list[dict]:
    """The data sets inside wrappers."""
    inner = dataset.get('dataset') or dataset.get('datasets')
    if inner is None:
        return [dataset]
    inner = inner if isinstance(inner, (list, tuple)) else [inner]
    return [raw for one in inner for raw in raw_datasets(one)]


def pipelines(dataset: dict) -> list[dict]:
    """All transforms of a data set and of those inside it."""
    inner = dataset.get('dataset') or dataset.get('datasets') or []
    inner = inner if isinstance(inner, (list, tuple)) else [inner]
    return [*dataset.get('pipeline', []), *(t for one in inner for t in pipelines(one))]


def found(root, name: str) -> type:
    """The component of a name in the current scope; None if there is none."""
    with root.switch_scope_and_registry(None) as registry:
        return registry.get(name)
