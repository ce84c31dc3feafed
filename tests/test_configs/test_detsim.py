# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The configs of self-supervised pretraining."""

from pathlib import Path

import pytest
import torch
from shipped import LEAVES

from smallobj_mm.registry import DATASETS, MODELS, TRANSFORMS

pytest.importorskip('mmpretrain')
FAMILY = 'detsim/'


def test_there_are_configs_of_every_kind():
    names = {Path(leaf).stem for leaf in LEAVES}
    assert {'detsim_r18_imagenet100', 'detsim_r18_folder', 'detsim_r18_mixed_96'} <= names
    for base in ('detsim_r18_folder', 'detsim_r18_mixed_96', 'detsim_r18h_hituav'):
        assert {f'{base}_no-aux', f'{base}_local-views'} <= names


def test_model_and_views_fit(cfg):
    """The heads predict what the views' samples hold, and local views divide into the grid."""
    model = MODELS.build(cfg.model)
    width = model.backbone.base_channels
    parameters = sum(p.numel() for p in model.backbone.parameters())
    assert parameters == {64: 11_176_512, 32: 2_798_880}[width]
    assert len(model.backbone.state_dict()) == 120
    aux = model.auxiliary_head
    whole = cfg.train_dataloader.dataset
    for dataset in whole.get('datasets') or [whole]:
        DATASETS.build(dict(dataset, lazy_init=True))
        load, views, pack = (TRANSFORMS.build(one) for one in dataset.pipeline)
        assert load.high_bit_depth == 'scale'  # raw infrared images keep their contrast
        image = torch.randint(0, 256, (90, 120, 3), dtype=torch.uint8).numpy()
        out = pack(views(dict(img=image, img_path='x', ori_shape=(90, 120))))
        assert set(aux.weights if aux else ()) == set(pack.targets)
        assert views.local_grid in (None, model.local_grid)
        for local in out['inputs'][2:]:
            assert local.shape[1] % model.local_grid == local.shape[2] % model.local_grid == 0


def test_recipe(cfg):
    """Rates follow the total batch, predictors keep theirs, spread is watched everywhere."""
    assert cfg.auto_scale_lr == dict(base_batch_size=256, enable=True)
    assert cfg.sync_bn == 'torch' and cfg.train_dataloader.drop_last
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys == dict(predictor=dict(fix_lr=True))
    hooks = {hook.type: hook for hook in cfg.custom_hooks}
    assert {'FixedLRHook', 'FeatureSpreadHook', 'SyncBuffersHook'} <= set(hooks)
    for name in ('bank_dataloader', 'query_dataloader'):
        loader = hooks.get('KNNAccuracyHook', {}).get(name)
        if loader:
            dataset = DATASETS.build(dict(loader.dataset, lazy_init=True))
            assert dataset.with_label
            assert dataset.pipeline.transforms[0].high_bit_depth == 'scale'
