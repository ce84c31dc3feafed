# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""ResNet-18 that takes its weights from self-supervised pretraining."""

from collections.abc import Sequence

from mmdet.models.backbones import ResNet

from smallobj_mm.models.layers.types import ConfigType
from smallobj_mm.registry import MODELS


@MODELS.register_module()
class SSLResNet18(ResNet):
    """mmdet's ResNet of depth 18 with the defaults of the OBSDM detector.

    Its parameter names are torchvision's, so the self-supervised checkpoints load without
    renaming::

        backbone=dict(
            type='SSLResNet18',
            init_cfg=dict(type='SSLPretrained', checkpoint='detsim.pth'))

    Args:
        out_indices: Stages whose maps are returned: 0 to 3 for strides 4 to 32, with 64, 128,
            256, 512 channels. Stages beyond the last one are not built.
        base_channels: Channels of the stem and the first stage; 32 gives the network at half
            width. Only the full width takes the published self-supervised weights.
        frozen_stages: Stages that are not trained, the stem included; -1 for none.
        norm_cfg: Normalization layer. The detector's BN has eps 1e-3 and momentum 0.03.
        norm_eval: Keep the running statistics of BN during training.
        with_cp: Activation checkpointing: less memory, more time.
        init_cfg: Initialization; ``dict(type='SSLPretrained', checkpoint=...)`` for a
            self-supervised checkpoint. Kaiming when not given.

    Shape:
        ``(N, 3, H, W)`` -> tuple of ``(N, C_i, H / s_i, W / s_i)``.
    """

    def __init__(
        self,
        out_indices: Sequence[int] = (1, 2, 3),
        base_channels: int = 64,
        frozen_stages: int = -1,
        norm_cfg: ConfigType = dict(type='BN', momentum=0.03, eps=1e-3, requires_grad=True),
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        num_stages = max(out_indices) + 1
        super().__init__(
            depth=18,
            base_channels=base_channels,
            num_stages=num_stages,
            strides=(1, 2, 2, 2)[:num_stages],
            dilations=(1, 1, 1, 1)[:num_stages],
            out_indices=tuple(out_indices),
            frozen_stages=frozen_stages,
            norm_cfg=norm_cfg,
            norm_eval=norm_eval,
            with_cp=with_cp,
            # Zero-initialized residuals pay off in deep networks; torchvision has them off.
            zero_init_residual=False,
            init_cfg=init_cfg,
        )
