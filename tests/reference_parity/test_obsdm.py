# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The published OBSDM model, number by number."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmengine.structures import InstanceData

from smallobj_mm.checkpoints.converters.obsdm import rename_obsdm
from smallobj_mm.models.utils import switch_to_deploy

CONFIG = 'configs/obsdm/obsdm_r18_voc_authors.py'


@pytest.fixture(scope='module')
def converted(tmp_path_factory, convert, authors_state_dict):
    """Path of the checkpoint that the converter made, and what it printed."""
    folder = tmp_path_factory.mktemp('obsdm')
    torch.save(authors_state_dict('obsdm'), folder / 'authors.pth')
    printed = convert('obsdm', folder / 'authors.pth', folder / 'ours.pth')
    return folder / 'ours.pth', printed


@pytest.fixture
def model(repo_root, converted):
    """The published model with the golden weights, in evaluation mode.

    In double precision: in single, the batch norm over the few cells of this case amplifies the
    rounding of whichever convolution the CPU and the number of threads select.
    """
    init_default_scope('mmdet')
    cfg = Config.fromfile(repo_root / CONFIG).model
    cfg.bbox_head.num_classes = 3
    model = MODELS.build(cfg)
    load_checkpoint(model, str(converted[0]), strict=True)
    return model.double().eval()


@pytest.fixture(scope='module')
def values(golden):
    """The golden values, those in floating point in double precision."""
    return {
        name: value.double() if torch.is_tensor(value) and value.is_floating_point() else value
        for name, value in golden('obsdm').items()
    }


def rows(raw):
    """(N, A * C, H, W) -> (N, A, H, W, C)."""
    return raw.unflatten(1, (3, -1)).movedim(2, -1)


def test_converter_reads_the_classes(converted):
    assert '3 classes' in converted[1]


@pytest.mark.parametrize('deployed', [False, True])
@torch.no_grad()
def test_raw_maps(model, values, deployed):
    if deployed:
        switch_to_deploy(model)
    for image in range(2):
        outs = model(values['image'][image : image + 1], mode='tensor')
        assert isinstance(outs, tuple)
        for level, out in enumerate(outs):
            torch.testing.assert_close(
                rows(out)[0], values[f'raw_p{level + 3}'][image], atol=1e-4, rtol=0
            )


@torch.no_grad()
def test_decoded(model, values):
    for image in range(2):
        outs = model(values['image'][image : image + 1], mode='tensor')
        boxes, scores = model.bbox_head.decode_maps(outs)
        size = boxes[..., 2:] - boxes[..., :2]
        ours = torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, size, scores], dim=-1)[0]
        # Ours run over rows, columns, anchors; the authors' over anchors, rows, columns.
        cells = [o.shape[-2] * o.shape[-1] for o in outs]
        ours = torch.cat(
            [
                part.unflatten(0, (-1, 3)).transpose(0, 1).flatten(0, 1)
                for part in ours.split([3 * n for n in cells])
            ]
        )
        torch.testing.assert_close(ours, values['decoded'][image], atol=1e-3, rtol=0)


def golden_targets(values):
    """The golden targets as mmdet's instances, in pixels."""
    height, width = values['image'].shape[-2:]
    targets = []
    for image in range(2):
        of_image = values['targets'][values['targets'][:, 0] == image]
        boxes = of_image[:, 2:] * torch.tensor([width, height] * 2)
        corners = torch.cat(
            [boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], dim=1
        )
        targets.append(InstanceData(bboxes=corners, labels=of_image[:, 1].long()))
    return targets


def losses_of(model, outs, values):
    losses = model.bbox_head.loss_by_feat(outs, golden_targets(values))
    return torch.stack([losses['loss_bbox'], losses['loss_obj'], losses['loss_cls']])


def test_training_losses(model, values):
    """Raw maps and losses of the batch in training mode.

    The golden maps are of single precision, and batch norm over as few as 40 cells amplifies their
    rounding: they are 3.5e-5 to 7.4e-5 (root mean square; at most 4.4e-4) off ours in double. Ours
    in single are at most 0 to 8.8e-4 off them, by the instructions that the CPU has.
    """
    outs = model.train()(values['image'], mode='tensor')
    for level, out in enumerate(outs):
        golden = values[f'train_raw_p{level + 3}']
        assert (rows(out) - golden).square().mean().sqrt() < 1e-4
        torch.testing.assert_close(rows(out), golden, atol=1e-3, rtol=0)
    ours = losses_of(model, outs, values)
    torch.testing.assert_close(ours / 2, values['loss_box_obj_cls'], rtol=1e-4, atol=0)
    torch.testing.assert_close(ours.sum()[None], values['loss_total'], rtol=1e-4, atol=0)


def test_gradients(model, values):
    """The norm of every gradient."""
    model.train()
    block = model.neck.bottom_up_16.fuse
    seen = {}
    block.reduce.register_forward_hook(lambda _, __, out: seen.update(x=out))
    block.norm.register_forward_pre_hook(
        lambda _, args: (args[0].retain_grad(), seen.update(y=args[0]))[0]
    )
    outs = model(values['image'], mode='tensor')
    losses_of(model, outs, values).sum().backward()

    parameters = dict(model.named_parameters())
    # The authors keep the factors of both halves in two diagonal matrices that each forward
    # pass overwrites. They are no parameters of ours; their gradients follow from the maps.
    grad, x = seen['y'].grad[:, :512], seen['x'].detach()
    matrices = [torch.einsum('nohw,nihw->oi', half, x) for half in grad.split(256, dim=1)]
    matrices = dict(zip(('fc1', 'fc2'), matrices))
    checked = 0
    for key, norm in zip(values['grad_norm_keys'], values['grad_norms']):
        names, dropped = rename_obsdm({str(key): torch.zeros(1)})
        ours = matrices[key.split('.')[-2]] if dropped else parameters[next(iter(names))].grad
        assert ours.norm().item() == pytest.approx(norm.item(), rel=1e-3), key
        checked += 1
    assert checked == 262


def test_converter_refuses_unknown_names(tmp_path, convert, authors_state_dict):
    state_dict = authors_state_dict('obsdm')
    state_dict['model.99.conv.weight'] = torch.zeros(1)
    torch.save(state_dict, tmp_path / 'authors.pth')
    with pytest.raises(ValueError, match='authors.pth: .*model.99.conv.weight: unknown name'):
        convert('obsdm', tmp_path / 'authors.pth', tmp_path / 'ours.pth')
    assert not (tmp_path / 'ours.pth').exists()
