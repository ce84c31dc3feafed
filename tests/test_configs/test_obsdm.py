# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The detector's configs."""

from pathlib import Path

import torch
from mmengine.config import Config
from shipped import CONFIGS, LEAVES, loaders, pipelines, raw_datasets

from smallobj_mm.models.layers.semantic_decoupling import DECOUPLING_MODES
from smallobj_mm.registry import DATASETS, MODELS
from smallobj_mm.utils.configs import read_config

FAMILY = 'obsdm/'


def test_there_are_configs_of_every_kind():
    names = {Path(leaf).stem for leaf in LEAVES if leaf.startswith(FAMILY)}
    assert {
        'obsdm_r18_voc',
        'obsdm_r18_voc_authors',
        'obsdm_r18_bstld',
        'obsdm_r18_railworker',
        'obsdm_r18_hituav',
        'obsdm_r18_demo',
    } <= names
    configs = [Config.fromfile(CONFIGS / leaf) for leaf in LEAVES if leaf.startswith(FAMILY)]
    modes = {config.model.get('neck', {}).get('decoupling') for config in configs}
    assert modes >= set(DECOUPLING_MODES)


def test_model(cfg):
    """Built, and its maps have the shapes that the head's strides promise."""
    with torch.device('meta'):
        model = MODELS.build(cfg.model).eval()
    image = torch.empty(2, 3, 128, 192, device='meta')
    outs = model(image, mode='tensor')
    head = model.bbox_head
    strides = [s if isinstance(s, int) else s[0] for s in head.prior_generator.strides]
    maps = outs[0] if isinstance(outs[0], (list, tuple)) else outs
    assert [tuple(m.shape[-2:]) for m in maps] == [(128 // s, 192 // s) for s in strides]
    if cfg.model.bbox_head.type == 'DecoupledCrossHead':
        assert isinstance(outs, tuple)
        assert {m.shape[1] for m in outs} == {3 * (5 + head.num_classes)}


def test_classes_of_the_head_are_those_of_the_data(cfg):
    for loader in loaders(cfg):
        for raw in raw_datasets(loader.dataset):
            built = DATASETS.build(dict(raw, lazy_init=True, pipeline=[]))
            if not (raw.get('metainfo') or {}).get('classes') and raw.type == 'CustomBoxDataset':
                assert not built.metainfo['classes']  # those of a file that is not here
                continue
            assert len(built.metainfo['classes']) == cfg.model.bbox_head.num_classes


def test_image_size_of_the_head_is_that_of_the_pipeline(cfg):
    """The objectness weight depends on it."""
    if cfg.model.bbox_head.type != 'DecoupledCrossHead':
        return
    transforms = {t.type: t for t in pipelines(cfg.train_dataloader.dataset)}
    if 'MosaicAffine' in transforms and cfg.model.bbox_head.get('obj_gain') == 0.7:
        assert max(transforms['MosaicAffine'].img_scale) == cfg.model.bbox_head.img_size


def test_images_are_padded_with_the_gray_of_the_mosaics(cfg):
    """mmdet pads what is normalized already: a value in gray levels would be a glaring border."""
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    gray = torch.full((3, 40, 40), 114, dtype=torch.uint8)
    data = preprocessor(dict(inputs=[gray], data_samples=None))['inputs']
    if cfg.model.type == 'RTMDet':  # as mmdet ships it, without padding
        return
    assert data.shape[-2:] == (64, 64)
    mean, std = (torch.tensor(cfg.model.data_preprocessor[k]) for k in ('mean', 'std'))
    levels = data * std.view(3, 1, 1) + mean.view(3, 1, 1)
    # the means of ImageNet, which zero stands for after them, are 104 to 124
    exact = len(set(mean.tolist())) == 1
    torch.testing.assert_close(
        levels, torch.full_like(levels, 114), atol=1e-3 if exact else 11, rtol=0
    )


def test_the_backbone_takes_a_checkpoint_by_one_setting(leaf, cfg):
    """As the README says; with the type too, which other configs need."""
    if cfg.model.backbone.type != 'SSLResNet18':
        return
    setting = {'model.backbone.init_cfg.checkpoint': 'a.pth'}
    for more in ({}, {'model.backbone.init_cfg.type': 'SSLPretrained'}):
        backbone = read_config(str(leaf), {**more, **setting}).model.backbone
        assert backbone.init_cfg == dict(type='SSLPretrained', checkpoint='a.pth')
    if 'pretrained' in cfg:
        backbone = read_config(str(leaf), dict(pretrained='a.pth')).model.backbone
        assert backbone.init_cfg.checkpoint == 'a.pth'
