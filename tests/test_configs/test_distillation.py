# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The configs of distillation."""

import pytest
import torch

from smallobj_mm.registry import MODELS
from smallobj_mm.utils.configs import read_config

pytest.importorskip('mmpretrain')
FAMILY = 'distillation/'


def test_the_detector_takes_the_student(cfg, repo_root):
    """Every tensor of its backbone is there, in its shape, and images are normalized alike."""
    cfg.model.teacher.init_cfg = None
    student = MODELS.build(cfg.model)
    size = 't' if cfg.model.backbone.base_channels == 32 else 's'
    detector = read_config(repo_root / 'configs' / 'obsdm' / f'obsdm_{size}_hituav.py').model
    wanted = MODELS.build(detector.backbone).state_dict()
    own = student.backbone.state_dict()
    assert {k: v.shape for k, v in wanted.items()} == {k: own[k].shape for k in wanted}
    for key in ('mean', 'std', 'bgr_to_rgb'):
        assert detector.data_preprocessor[key] == cfg.model.data_preprocessor[key]


def test_maps_fit(cfg):
    cfg.model.teacher.init_cfg = None
    terms = MODELS.build(cfg.model).loss([torch.randn(2, 3, 64, 64)], [])
    stages = range(1, len(cfg.model.backbone.out_indices) + 1)
    assert [name for name in terms if 'loss' in name] == [f'loss_stage{n}' for n in stages]
