# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Synchronized batch normalization where it exists: it has no CPU implementation."""

import logging
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log

#: Names under which mmengine and mmcv build a synchronized BN.
_SYNC_BN_TYPES = ('SyncBN', 'MMSyncBN', 'SyncBatchNorm')


def disable_sync_bn_on_cpu(cfg: Config) -> int:
    """Replace synchronized BN by plain BN in a config when there is no CUDA device.

    ``torch.nn.SyncBatchNorm`` accepts CUDA tensors only, and mmengine reverts it by itself only
    when training is *not* distributed. Both ways to ask for it are undone: the top-level
    ``sync_bn`` key and every ``type='SyncBN'`` (or ``MMSyncBN``) inside ``model``.

    Args:
        cfg: The whole config; changed in place.

    Returns:
        How many places were changed; 0 where CUDA is available. A warning is logged if any.
    """
    if torch.cuda.is_available():
        return 0
    changed = _replace(cfg.get('model'))
    if cfg.get('sync_bn') is not None:
        cfg.sync_bn = None
        changed += 1
    if changed:
        print_log(
            f'Synchronized batch normalization is switched off ({changed} settings of the config): '
            'it needs CUDA and this machine trains on the CPU, each process keeps its own '
            'statistics.',
            logger='current',
            level=logging.WARNING,
        )
    return changed


def _replace(node: Any) -> int:
    """Rewrite the norm types below ``node`` in place and count them."""
    if isinstance(node, (list, tuple)):
        return sum(_replace(child) for child in node)
    if not isinstance(node, dict):
        return 0
    changed = 0
    kind = node.get('type')
    if getattr(kind, '__name__', kind) in _SYNC_BN_TYPES:
        node['type'] = 'BN'
        changed += 1
    return changed + sum(_replace(child) for child in node.values())
