# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Helpers for the tests of networks."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

NORM = dict(type='BN', momentum=0.03, eps=1e-3)
ACT = dict(type='SiLU')


@pytest.fixture
def layer() -> dict:
    """Normalization and activation of the detector's layers."""
    return dict(norm_cfg=dict(NORM), act_cfg=dict(ACT))


@pytest.fixture
def randomize():
    """Function that gives every norm and every implicit vector values far from neutral."""

    def change(model: nn.Module) -> nn.Module:
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.normal_(0, 0.3)
                    module.running_mean.normal_(0, 0.3)
                    module.running_var.uniform_(0.5, 2.0)
            for name, parameter in model.named_parameters():
                if name.endswith('implicit'):
                    parameter.add_(torch.randn_like(parameter) * 0.5)
        return model

    return change


@pytest.fixture
def build_detector(repo_root):
    """Function that builds the small OBSDM: head classes, inputs and options as given."""

    def build(
        num_classes: int = 3, stride4: bool = False, decoupled: bool = False, **neck
    ) -> nn.Module:
        init_default_scope('mmdet')
        cfg = Config.fromfile(repo_root / 'configs/_base_/models/obsdm_r18.py').model
        cfg.neck.update(widen_factor=0.125, **neck)
        head = cfg.bbox_head
        head.update(num_classes=num_classes, img_size=128)
        head.head_module.update(in_channels=[16, 32, 64], decoupled=decoupled)
        head.prior_generator.base_sizes = [
            [(6, 6), (8, 12), (14, 10)],
            [(16, 24), (24, 16), (32, 32)],
            [(48, 40), (64, 64), (90, 100)],
        ]
        if stride4:
            cfg.backbone.out_indices = (0, 1, 2, 3)
            cfg.neck.in_channels = [64, 128, 256, 512]
            head.head_module.in_channels = [8, 16, 32, 64]
            head.prior_generator.base_sizes.insert(0, [(3, 3), (4, 6), (6, 4)])
            head.prior_generator.strides = [4, 8, 16, 32]
            head.obj_level_weights = [4.0, 4.0, 1.0, 0.4]
        model = MODELS.build(cfg)
        model.init_weights()
        return model

    return build


@pytest.fixture
def without_gradient():
    """Function that lists the trainable parameters that got no gradient, or a bad one."""

    def names(model: nn.Module) -> list[str]:
        return [
            name
            for name, p in model.named_parameters()
            if p.requires_grad and (p.grad is None or not p.grad.isfinite().all())
        ]

    return names
