# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A detector and a segmentor that find what is bright; their only weights say how bright."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS as DET_MODELS
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmseg.models.decode_heads import FCNHead  # noqa: F401  registers what the config names
from mmseg.registry import MODELS as SEG_MODELS
from torch import nn

LEVEL = 100.0  # brighter pixels belong to targets


@DET_MODELS.register_module(force=True)
class BrightBlobs(BaseDetector):
    """Boxes around the bright components of each image; no component is merged or lost."""

    def __init__(self, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.level = nn.Parameter(torch.zeros(()))
        self.bbox_head = SimpleNamespace(num_classes=2)
        self.sizes = []  # of the batches

    def predict(self, batch_inputs, batch_data_samples, rescale=True):
        self.sizes.append(tuple(batch_inputs.shape))
        for image, sample in zip(batch_inputs, batch_data_samples):
            height, width = sample.img_shape
            gray = image.mean(dim=0)[:height, :width].numpy()
            mask = (gray > float(self.level)).astype(np.uint8)
            _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, 8)
            low, size = stats[1:, :2], stats[1:, 2:4]
            scale = np.array(sample.scale_factor)
            boxes = np.concatenate([low / scale, (low + size) / scale], axis=1)
            total = np.bincount(labels.ravel(), weights=gray.ravel())[1:]
            sample.pred_instances = InstanceData(
                bboxes=torch.from_numpy(boxes).float().reshape(-1, 4),
                scores=torch.from_numpy(total / stats[1:, 4] / 255).float(),
                labels=torch.zeros(len(boxes), dtype=torch.long),
            )
        return batch_data_samples

    def _forward(self, batch_inputs, batch_data_samples=None):
        return batch_inputs

    def extract_feat(self, batch_inputs):
        return batch_inputs

    def loss(self, batch_inputs, batch_data_samples):
        return {}


@SEG_MODELS.register_module(force=True)
class BrightPixels(nn.Module):
    """The brightness of each pixel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1)

    def forward(self, inputs):
        return (self.conv(inputs),)


def detection_config(resize=None):
    """A detector's config; ``resize`` is the scale of a Resize in the test pipeline."""
    middle = [dict(type='Resize', scale=resize, keep_ratio=True)] if resize else []
    return dict(
        default_scope='mmdet',
        custom_imports=dict(imports=['smallobj_mm', 'infer_toys']),
        model=dict(
            type='BrightBlobs',
            data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32),
        ),
        test_dataloader=dict(
            dataset=dict(
                type='CocoDataset',
                metainfo=dict(classes=('light', 'lamp')),
                pipeline=[
                    dict(type='LoadImageStrict'),
                    *middle,
                    dict(type='LoadAnnotations', with_bbox=True),
                    dict(type='PackDetInputs'),
                ],
            )
        ),
    )


def segmentation_config(resize=None):
    """A segmentor's config; ``resize`` is the scale of a Resize in the test pipeline."""
    middle = [dict(type='Resize', scale=resize)] if resize else []
    return dict(
        default_scope='mmseg',
        custom_imports=dict(imports=['smallobj_mm', 'infer_toys']),
        model=dict(
            type='EncoderDecoder',
            data_preprocessor=dict(type='IRSTDDataPreProcessor', size_divisor=16),
            backbone=dict(type='BrightPixels'),
            decode_head=dict(
                type='FCNHead', in_channels=1, channels=1, num_convs=0, concat_input=False,
                num_classes=2, out_channels=1, threshold=0.5, dropout_ratio=0,
            ),
            test_cfg=dict(mode='whole'),
        ),
        test_dataloader=dict(
            dataset=dict(
                type='IRSTDDataset',
                data_root='none',
                pipeline=[
                    dict(type='LoadImageStrict'),
                    *middle,
                    dict(type='LoadBinaryMask'),
                    dict(type='PackIRSTDInputs'),
                ],
            )
        ),
    )  # fmt: skip


DETECTOR = {'level': torch.tensor(LEVEL)}
SEGMENTOR = {
    'backbone.conv.weight': torch.full((1, 3, 1, 1), 1 / 3),
    'backbone.conv.bias': torch.full((1,), -LEVEL),
    'decode_head.conv_seg.weight': torch.full((1, 1, 1, 1), 0.1),
    'decode_head.conv_seg.bias': torch.zeros(1),
}


def write_models(folder):
    """Configs det.py, seg.py and their weights det.pth, seg.pth."""
    folder = Path(folder)
    for name, config, state in (
        ('det', detection_config(), DETECTOR),
        ('seg', segmentation_config(), SEGMENTOR),
    ):
        Config(config).dump(str(folder / f'{name}.py'))
        torch.save(dict(state_dict=state), folder / f'{name}.pth')


def scene(height, width, boxes, bright=200):
    """A dark image with bright rectangles, (h, w, 3) uint8."""
    rng = np.random.default_rng(height + width)
    image = rng.integers(20, 60, (height, width, 1), dtype=np.uint8).repeat(3, axis=2)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = bright
    return image


def read_json(path):
    """A JSON document."""
    return json.loads(Path(path).read_text())
