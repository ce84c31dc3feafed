# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The classes of a detector's config, which follow those of its data set."""

import os
from collections.abc import Mapping
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from smallobj_mm.checkpoints.reading import load_from_local_plain
from smallobj_mm.compat.frameworks import has_framework
from smallobj_mm.registry import DATASETS
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.messages import brief

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
#: Parts of a model whose ``num_classes`` are no classes of the data.
_OTHER_HEADS = ('rpn_head', 'semantic_head')


class _DataSet(NamedTuple):
    """A data set of a loader."""

    loader: str
    cfg: ConfigDict
    classes: Tuple[str, ...]
    by_name: bool

    @property
    def is_given(self) -> bool:
        """Whether the config names the classes, rather than a file or the data set's own."""
        return bool((self.cfg.get('metainfo') or {}).get('classes'))

    @property
    def place(self) -> str:
        """Where the data are, for messages."""
        where = os.path.join(self.cfg.get('data_root') or '', str(self.cfg.get('ann_file') or ''))
        return f'{self.loader} ({where or self.cfg["type"]})'


def fit_classes(cfg: Config) -> None:
    """Give a detector as many classes as its training data have, and all data sets the same.

    Applies to the detection data sets of this package; others stay as they are. The classes come
    from ``metainfo`` of the training set, else from its files, else they are the data set's own.
    Without training data (a test on another machine) they are those of the checkpoint. Validation
    and test sets that read their classes from files take over these, so that a file that has some
    of them only, or numbers them otherwise, does no harm.

    Args:
        cfg: The config; ``num_classes`` of heads and ``metainfo`` of data sets are changed.

    Raises:
        UserError: A validation or test set has other classes.
    """
    if not has_framework('mmdet') or cfg.get('default_scope', 'mmdet') != 'mmdet':
        return
    fitted = [
        data for loader in _LOADERS for data in _data_sets(loader, cfg.get(loader) or {}) if data
    ]
    known = [data for data in fitted if data.classes]
    if not known:
        return
    first = known[0]
    classes = first.classes
    if first.loader != 'train_dataloader':
        classes = _classes_of_checkpoint(cfg) or classes
    for data in fitted:
        if data.classes != classes:
            _take_over(data, first, classes)
    _set_num_classes(cfg, first, len(classes))


def _data_sets(loader: str, cfg: Mapping) -> Iterator[Optional[_DataSet]]:
    """The data sets of this package inside the wrappers of a loader."""
    for dataset in _unwrap(cfg.get('dataset') or {}):
        kind: Any = dataset.get('type')
        with DefaultScope.overwrite_default_scope('mmdet'):
            kind = DATASETS.get(kind) if isinstance(kind, str) else kind
            if hasattr(kind, 'iter_records'):  # SmallObjectDetDataset, which needs mmdet
                lazy = DATASETS.build(dict(dataset, lazy_init=True, pipeline=[]))
                classes = tuple(lazy.metainfo.get('classes') or ())
                yield _DataSet(loader, dataset, classes, lazy.classes_by_name)


def _unwrap(dataset: Any) -> List[ConfigDict]:
    inner = dataset.get('dataset') or dataset.get('datasets')
    if inner is None:
        return [dataset]
    inner = inner if isinstance(inner, (list, tuple)) else [inner]
    return [leaf for wrapped in inner for leaf in _unwrap(wrapped)]


def _classes_of_checkpoint(cfg: Config) -> Tuple[str, ...]:
    """The classes that the checkpoint of a test was trained for; empty if it does not say."""
    path = cfg.get('load_from')
    if not path or not os.path.isfile(path):
        return ()
    meta = load_from_local_plain(path, 'cpu').get('meta')
    meta = meta.get('dataset_meta') if isinstance(meta, dict) else None
    classes = meta.get('classes') if isinstance(meta, dict) else None
    return tuple(map(str, classes)) if isinstance(classes, (list, tuple)) else ()


def _take_over(data: _DataSet, first: _DataSet, classes: Tuple[str, ...]) -> None:
    """Let a data set have the classes of the training set."""
    if data.classes and (
        data.is_given or not data.by_name or not set(data.classes) <= set(classes)
    ):
        raise UserError(
            f'{data.place}: has the classes {brief(data.classes, 200)}, but {first.place} has '
            f'{brief(classes, 200)}; expected the same in the same order: correct one of them, or '
            'give metainfo=dict(classes=...) to all data sets'
        )
    data.cfg['metainfo'] = dict(data.cfg.get('metainfo') or {}, classes=classes)


def _set_num_classes(cfg: Config, data: _DataSet, number: int) -> None:
    for name, head in _heads('model', cfg.get('model') or {}):
        before = head['num_classes']
        if before != number:
            head['num_classes'] = number
            print_log(
                f'{name}.num_classes: {before} becomes {number}, the number of classes of '
                f'{data.place}: {brief(data.classes, 200)}',
                logger='current',
            )


def _heads(name: str, part: Any) -> Iterator[Tuple[str, Any]]:
    """The heads inside a model that have a number of classes, and what they are called."""
    if isinstance(part, Mapping):
        if 'head' in name and isinstance(part.get('num_classes'), int):
            yield name, part
        for key, value in part.items():
            if key not in _OTHER_HEADS:
                yield from _heads(f'{name}.{key}', value)
    elif isinstance(part, (list, tuple)):
        for number, value in enumerate(part):
            yield from _heads(f'{name}[{number}]', value)
