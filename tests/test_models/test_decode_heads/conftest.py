# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A small iSmallNet in mmseg's segmentor."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

CHANNELS = [4, 8, 8]


@pytest.fixture
def build_segmentor(repo_root):
    """Function that builds a small iSmallNet; ``step`` is the side of space_to_depth."""

    def build(step: int = 1, head_module=None, num_streams: int = 2, **head) -> nn.Module:
        cfg = Config.fromfile(repo_root / 'configs/_base_/models/ismallnet.py').model
        cfg.backbone.update(channels=CHANNELS, num_blocks=[1, 1, 1], space_to_depth=step)
        cfg.neck.update(in_channels=CHANNELS, num_blocks=[1, 1, 1])
        cfg.backbone.num_streams = cfg.neck.num_streams = num_streams
        cfg.decode_head.update(head)
        cfg.decode_head.head_module.update(head_module or {})
        cfg.decode_head.head_module.update(in_channels=CHANNELS, channels=4, depth_to_space=step)
        with DefaultScope.overwrite_default_scope('mmseg'):
            return MODELS.build(cfg)

    return build


@pytest.fixture
def samples():
    """Function that makes data samples with decoupled labels of given images' sizes."""

    def make(*sizes: tuple) -> list:
        out = []
        for height, width in sizes:
            mask = torch.zeros(1, height, width, dtype=torch.int64)
            mask[:, 4:9, 5:10] = 1
            interior = mask * torch.rand(1, height, width)
            sample = SegDataSample(
                gt_sem_seg=PixelData(data=mask),
                gt_interior_map=PixelData(data=interior),
                gt_boundary_map=PixelData(data=mask - interior),
                metainfo=dict(img_shape=(height, width), ori_shape=(height, width)),
            )
            out.append(sample)
        return out

    return make
