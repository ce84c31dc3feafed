# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The published iSmallNet, number by number."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import load_checkpoint

from smallobj_mm.checkpoints.converters.ismallnet import rename_ismallnet
from smallobj_mm.models.utils import switch_to_deploy

CONFIG = 'configs/ismallnet/ismallnet_nuaa.py'
MAPS = ('interior', 'boundary', 'mask')


@pytest.fixture(scope='module')
def converted(tmp_path_factory, convert, authors_state_dict):
    """Path of the checkpoint that the converter made, and what it printed."""
    folder = tmp_path_factory.mktemp('ismallnet')
    torch.save(authors_state_dict('ismallnet'), folder / 'authors.pth')
    printed = convert('ismallnet', folder / 'authors.pth', folder / 'ours.pth')
    return folder / 'ours.pth', printed


@pytest.fixture
def model(repo_root, converted):
    """The published model with the golden weights."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(Config.fromfile(repo_root / CONFIG).model)
    load_checkpoint(model, str(converted[0]), strict=True)
    return model


def test_converter_says_what_it_dropped(converted):
    assert 'decoder3.conv0_1x1.weight' in converted[1]


def test_number_of_parameters(model):
    """The published one has an unused 1x1 convolution; ours has it in use."""
    assert sum(p.numel() for p in model.parameters()) == 9_688_461


@pytest.mark.parametrize('deployed', [False, True])
@torch.no_grad()
def test_logits(model, golden, deployed):
    values = golden('ismallnet')
    model.double().eval()
    if deployed:
        switch_to_deploy(model)
    outs = model(values['image'].double(), mode='tensor')
    assert isinstance(outs, tuple)
    for name, out in zip(MAPS, outs, strict=True):
        torch.testing.assert_close(out, values[f'{name}_logit'].double(), atol=1e-4, rtol=0)


@pytest.mark.parametrize('with_cp', [False, True])
def test_training_step(model, golden, with_cp):
    """Losses, gradient of the image, and the norms of all gradients.

    In double precision: in single they depend on the number of threads.
    """
    values = golden('ismallnet')
    values = {k: v.double() if torch.is_tensor(v) else v for k, v in values.items()}
    for stream in (*model.backbone.streams, *model.neck.streams):
        stream.with_cp = with_cp
    model.double().train()
    image = values['image'].requires_grad_()
    outs = model(image, mode='tensor')
    torch.testing.assert_close(outs[2], values['train_mask_logit'], atol=1e-4, rtol=0)
    # MapBCELoss and SoftIoULoss compute in single precision, whatever comes in.
    total = 0
    for name, logit, expected in zip(MAPS, outs, values['losses'], strict=True):
        target = values[f'{name}_target'].float()
        loss = sum(term(logit, target) for term in model.decode_head.loss_decode)
        torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)
        total = total + loss
    total.backward()
    error = (image.grad - values['image_grad']).norm() / values['image_grad'].norm()
    assert error < 1e-3

    grads = {n: p.grad for n, p in model.named_parameters()}
    checked = set()
    for key, norm in zip(values['grad_norm_keys'], values['grad_norms'], strict=True):
        renamed, dropped = rename_ismallnet({str(key): torch.zeros(1)})
        if dropped:
            continue
        # One convolution of the authors' at two scales is two of ours: their gradients add up.
        ours = sum(grads[name] for name in renamed)
        # The absolute tolerance is for the golden values' own rounding, they were made in single
        # precision: a bias in front of a batch norm has no other gradient, and one attention
        # layer with a norm of 6e-4 is 2.5e-3 off (1e-2 if ours is computed in single, too).
        torch.testing.assert_close(
            ours.norm(), norm, rtol=1e-3, atol=2e-6, msg=lambda text, key=key: f'{key}: {text}'
        )
        checked |= set(renamed)
    assert checked == set(grads)
