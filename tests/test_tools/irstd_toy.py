# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A segmentor that finds what is bright, for the tests of the tools; weights come from no file."""

from mmseg.models.decode_heads import FCNHead
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class ToyBrightness(nn.Module):
    """The brightness of each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1)
        nn.init.constant_(self.conv.weight, 1 / 3)
        nn.init.zeros_(self.conv.bias)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        return (self.conv(inputs),)


@MODELS.register_module()
class ToyThreeMaps(FCNHead):
    """Three logits, the last of which is the mask."""

    def forward(self, inputs: tuple[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        mask = super().forward(inputs)
        return mask + 1, mask.abs() - 3, mask

    def predict(self, inputs: tuple[Tensor], batch_img_metas: list, test_cfg: dict) -> Tensor:
        return self.predict_by_feat(self.forward(inputs)[2], batch_img_metas)


def config(root: str, three_maps: bool = True) -> dict:
    """A config that tests on root/images and root/masks, masks coded 0/1."""
    head = dict(
        type='ToyThreeMaps' if three_maps else 'FCNHead', in_channels=1, channels=1, num_convs=0,
        concat_input=False, num_classes=2, out_channels=1, threshold=0.5, dropout_ratio=0,
    )  # fmt: skip
    loader = dict(
        batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            type='BaseSegDataset', data_root=root, metainfo=dict(classes=('none', 'target'),
            palette=[[0, 0, 0], [255, 0, 0]]), img_suffix='.png', seg_map_suffix='.png',
            data_prefix=dict(img_path='images', seg_map_path='masks'),
            pipeline=[
                dict(type='LoadImageFromFile'), dict(type='Resize', scale=(96, 64)),
                dict(type='LoadAnnotations'), dict(type='PackSegInputs'),
            ],
        ),
    )  # fmt: skip
    return dict(
        default_scope='mmseg',
        custom_imports=dict(imports=['smallobj_mm', 'irstd_toy']),
        model=dict(
            type='EncoderDecoder', backbone=dict(type='ToyBrightness'), decode_head=head,
            data_preprocessor=dict(
                type='SegDataPreProcessor', mean=[100.0] * 3, std=[10.0] * 3, bgr_to_rgb=True,
                size_divisor=32, test_cfg=dict(size_divisor=32),
            ),
            test_cfg=dict(mode='whole'),
        ),
        test_dataloader=loader,
        test_evaluator=dict(type='IRSTDMetric', thresholds=(0.25, 0.5), authors=True),
        test_cfg=dict(),
        visualizer=dict(type='IRSTDVisualizer', vis_backends=[dict(type='LocalVisBackend')]),
    )  # fmt: skip
