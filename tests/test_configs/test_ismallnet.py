# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The configs of the infrared segmentation."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from shipped import CONFIGS, LEAVES, loaders, pipelines

from smallobj_mm.benchmark.timing import count_flops
from smallobj_mm.registry import MODELS
from smallobj_mm.utils.configs import read_config

FAMILY = 'ismallnet/'


def test_there_are_configs_of_every_kind():
    names = {Path(leaf).stem for leaf in LEAVES}
    assert {
        'ismallnet_nuaa',
        'ismallnet_nudt',
        'ismallnet_irstd1k',
        'ismallnet_nuaa_fast',
        'ismallnet_s_nuaa',
        'ismallnet_t_nuaa',
        'ismallnet_demo',
    } <= names


def build(cfg):
    """The config's model without memory."""
    with DefaultScope.overwrite_default_scope('mmseg'), torch.device('meta'):
        return MODELS.build(cfg.model).eval()


def test_model(cfg):
    """Built, and its three maps have the size of the image."""
    image = torch.empty(2, 3, 64, 96, device='meta')
    outs = build(cfg)(image, mode='tensor')
    assert [tuple(out.shape) for out in outs] == [(2, 1, 64, 96)] * 3


@pytest.mark.parametrize(
    'name, share',
    [('ismallnet_nuaa', 1), ('ismallnet_s_nuaa', 1 / 4), ('ismallnet_t_nuaa', 1 / 32)],
)
def test_work(name, share):
    """The published model's 61 GFLOPs at 256x256 px, and what the small ones may take of them."""
    cfg = Config.fromfile(CONFIGS / f'ismallnet/{name}.py')
    flops = count_flops(build(cfg), torch.empty(1, 3, 256, 256, device='meta'))
    assert flops <= 61.0e9 * share
    assert flops > 0.5 * 61.0e9 * share


def test_labels_are_decoupled_after_what_moves_pixels(cfg):
    """A map of the label that is resized afterwards is not the label's map any more."""
    loader = cfg.train_dataloader
    names = [t.type for t in loader.dataset.pipeline]
    names += [t.type for t in loader.get('collate_fn', {}).get('transforms', [])]
    assert names[-2:] == ['LabelDecoupling', 'PackIRSTDInputs']


def test_evaluated_at_native_size(cfg):
    """The truth is loaded after the image was resized, if it is."""
    for loader in loaders(cfg)[1:]:
        names = [t.type for t in pipelines(loader.dataset)]
        if 'Resize' in names:
            assert names.index('LoadBinaryMask') > names.index('Resize')


@pytest.mark.parametrize(
    'options, absent',
    [
        ({'decode_head.head_module.fusion': False}, 'fusion'),
        (
            {
                'backbone.num_streams': 1,
                'neck.num_streams': 1,
                'decode_head.head_module.type': 'SingleStreamHeadModule',
            },
            'boundary',
        ),
    ],
)
def test_what_the_claims_are_measured_with(options, absent):
    """The settings of the ablation's commands in the README make the network that they say."""
    options = {f'model.{key}': value for key, value in options.items()}
    cfg = read_config(CONFIGS / 'ismallnet/ismallnet_s_nuaa.py', options)
    model = build(cfg)
    assert not [name for name in model.state_dict() if absent in name]
    assert model(torch.empty(1, 3, 64, 96, device='meta'), mode='tensor')[-1].shape[1] == 1
