# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Synchronized BN is switched off where it cannot run."""

from typing import Any

import torch
from mmengine.config import Config

from smallobj_mm.utils.sync_bn import disable_sync_bn_on_cpu


def config() -> Config:
    return Config(
        dict(
            sync_bn='torch',
            model=dict(
                backbone=dict(norm_cfg=dict(type='SyncBN', eps=1e-3)),
                heads=[dict(norm_cfg=dict(type='MMSyncBN')), dict(norm_cfg=dict(type='GN'))],
            ),
        )
    )


def test_on_cpu(monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = config()
    assert disable_sync_bn_on_cpu(cfg) == 3
    assert cfg.sync_bn is None
    assert cfg.model.backbone.norm_cfg == dict(type='BN', eps=1e-3)
    assert [head.norm_cfg.type for head in cfg.model.heads] == ['BN', 'GN']
    assert disable_sync_bn_on_cpu(cfg) == 0


def test_on_cuda(monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = config()
    assert disable_sync_bn_on_cpu(cfg) == 0
    assert cfg.to_dict() == config().to_dict()
