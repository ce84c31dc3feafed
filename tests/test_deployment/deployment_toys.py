# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Both systems made tiny, with random weights that find something."""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import MODELS, DefaultScope
from mmseg.structures import SegDataSample

FORMATS = ('onnx', 'openvino', 'torchscript')
LEVELS = [4, 4, 8]
NAMES = {'det': 'obsdm/obsdm_r18_demo', 'seg': 'ismallnet/ismallnet_demo'}
SMALL = {
    'det': {
        'model.backbone': dict(
            _delete_=True, type='mmdet.ResNet', depth=18, base_channels=8, out_indices=(1, 2, 3)
        ),
        'model.neck.in_channels': [16, 32, 64],
        'model.neck.widen_factor': 0.0625,
        'model.bbox_head.head_module.in_channels': [8, 16, 32],
        'model.test_cfg.score_thr': 0.3,
        'model.test_cfg.max_per_img': 60,
    },
    'seg': {
        'model.data_preprocessor.mean': None,
        'model.data_preprocessor.std': None,
        'model.data_preprocessor.image_norm': {},
        'model.backbone.channels': LEVELS,
        'model.backbone.num_blocks': [1] * 3,
        'model.neck.in_channels': LEVELS,
        'model.neck.num_blocks': [1] * 3,
        'model.decode_head.head_module.in_channels': LEVELS,
        'model.decode_head.prior_prob': 0.4,
    },
}


def randomize(model):
    """Statistics that folding has something to do with."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


@torch.no_grad()
def spread_scores(model):
    """Give the raw maps of a detector a spread in which scores neither vanish nor saturate."""
    images = model.data_preprocessor(
        dict(inputs=[torch.from_numpy(scene(96, 96)).permute(2, 0, 1)])
    )
    maps = model(images['inputs'], mode='tensor')
    for level, raw in zip(model.bbox_head.head_module.branch, maps):
        level[-1].conv.weight.mul_(1.5 / raw.std())
        level[-1].conv.bias.zero_()


def build(cfg):
    """The model of a config, undeployed."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(cfg.model)


def scene(height, width, seed=0):
    """A noisy image with bright rectangles, (h, w, 3) uint8."""
    rng = np.random.default_rng(seed)
    image = rng.integers(20, 90, (height, width, 3), dtype=np.uint8)
    for x, y in rng.integers(0, min(height, width) - 9, (8, 2)):
        image[y : y + 7, x : x + 5] = rng.integers(120, 255, 3)
    return image


def predict(system, images):
    """What the model says of images (h, w, 3) of one size, without the pipeline's resize."""
    kind = DetDataSample if system.cfg.default_scope == 'mmdet' else SegDataSample
    size = images[0].shape[:2]
    meta = dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0))
    data = dict(
        inputs=[torch.from_numpy(image).permute(2, 0, 1) for image in images],
        data_samples=[kind(metainfo=meta) for _ in images],
    )
    with DefaultScope.overwrite_default_scope(system.cfg.default_scope), torch.no_grad():
        data = system.model.data_preprocessor(data, False)
        return system.model(data['inputs'], data['data_samples'], mode='predict')
