# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""DetSim: losses, options and errors; parity is in tests/reference_parity."""

import pytest
import torch
from mmengine.registry import DefaultScope

pytest.importorskip('mmpretrain')

from mmengine.config import Config  # noqa: E402
from mmpretrain.structures import DataSample  # noqa: E402

from smallobj_mm.models.selfsup import (  # noqa: E402
    AugmentationAwareHead,
    DetSim,
    MultiStageProjector,
    MultiStageSimilarityHead,
)
from smallobj_mm.models.selfsup.detsim import split_grid  # noqa: E402
from smallobj_mm.registry import MODELS  # noqa: E402

CHANNELS = [8, 16, 32, 64]
ALL = dict(crop=0.5, color=0.5, flip=0.1, blur=0.2, rotation=0.3, solarize=0.4)


def build(weights=None, stop_gradient=True, **options):
    backbone = dict(
        type='ResNet',
        depth=18,
        out_indices=(0, 1, 2, 3),
        stem_channels=8,
        base_channels=8,
        zero_init_residual=False,
    )
    head = weights and dict(
        type='AugmentationAwareHead', in_channels=CHANNELS, hid_channels=8, weights=weights
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return DetSim(
            backbone=backbone,
            neck=dict(
                type='MultiStageProjector', in_channels=CHANNELS, hid_channels=16, out_channels=16
            ),
            head=dict(
                type='MultiStageSimilarityHead',
                in_channels=16,
                hid_channels=8,
                stop_gradient=stop_gradient,
            ),
            auxiliary_head=head,
            **options,
        ).train()


def samples(n=4):
    return [
        DataSample(
            crop_difference=torch.rand(4),
            color_difference=torch.rand(4),
            flip_difference=torch.ones(1),
            blur_difference=torch.rand(1),
            rotation_difference=torch.tensor(3),
            solarize_difference=torch.rand(1),
        )
        for _ in range(n)
    ]


def views(n=4, size=32):
    return [torch.randn(n, 3, size, size) for _ in range(2)]


def test_every_auxiliary_target():
    model = build(ALL)
    losses = model(views(), samples(), mode='loss')
    assert set(losses) == {
        f'loss_{name}_stage{i}' for name in ('similarity', *ALL) for i in range(1, 5)
    }
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_negative_weight_is_off():
    model = build(dict(ALL, color=-1, rotation=-1))
    assert set(model.auxiliary_head.stages[0]) == {'crop', 'flip', 'blur', 'solarize'}
    assert build(None).auxiliary_head is None
    assert len(build(None)(views(), [], mode='loss')) == 4


def test_rotation_back_is_modulo_four():
    head = AugmentationAwareHead(dict(rotation=1.0), [8], hid_channels=4)
    y = torch.randn(6, 8)
    change = torch.tensor([0, 1, 2, 3, 0, 1])
    there = head.loss([y], [y.flip(0)], dict(rotation=change))[0]['rotation']
    back = head.loss([y.flip(0)], [y], dict(rotation=-change % 4))[0]['rotation']
    torch.testing.assert_close(there, back)


def test_no_gradient_through_the_target():
    head = MultiStageSimilarityHead(num_stages=1, in_channels=8, hid_channels=4)
    a, b = torch.randn(4, 8, requires_grad=True), torch.randn(4, 8, requires_grad=True)
    head.loss([a], [b])[0].backward()
    assert a.grad is not None and b.grad is None


def test_gradient_through_the_target_on_demand():
    head = MultiStageSimilarityHead(
        num_stages=1, in_channels=8, hid_channels=4, stop_gradient=False
    )
    stopped = MultiStageSimilarityHead(num_stages=1, in_channels=8, hid_channels=4)
    stopped.load_state_dict(head.state_dict())
    a, b = torch.randn(4, 8, requires_grad=True), torch.randn(4, 8, requires_grad=True)
    (loss,) = head.loss([a], [b])
    assert torch.equal(loss, stopped.loss([a], [b])[0])
    loss.backward()
    through_prediction = a.grad.clone()
    assert b.grad.abs().sum() > 0
    a.grad = None
    stopped.loss([a], [b])[0].backward()
    assert torch.equal(a.grad, through_prediction)


@pytest.mark.parametrize('stop_gradient', [True, False])
def test_stop_gradient_from_the_config(stop_gradient):
    """The target branch alone decides whether the backbone's gradients differ."""
    torch.manual_seed(0)
    model = build(None, stop_gradient=True)
    other = build(None, stop_gradient=stop_gradient)
    other.load_state_dict(model.state_dict())
    inputs = views()
    grads = []
    for one in (model, other):
        sum(one(inputs, [], mode='loss').values()).backward()
        grads.append(one.backbone.conv1.weight.grad)
    assert torch.allclose(*grads, rtol=1e-4, atol=1e-7) == stop_gradient


def test_local_views():
    model = build(ALL, local_grid=3, local_weight=0.5)
    inputs = [*views(), *views(size=48)]
    losses = model(inputs, samples(), mode='loss')
    assert {f'loss_local_stage{i}' for i in range(1, 5)} <= set(losses)
    doubled = build(ALL, local_grid=3, local_weight=1.0)
    doubled.load_state_dict(model.state_dict())
    model(inputs, samples(), mode='loss')  # training mode: the same batch gives the same losses
    twice = doubled(inputs, samples(), mode='loss')
    torch.testing.assert_close(twice['loss_local_stage4'], 2 * losses['loss_local_stage4'])
    # without them nothing changes for the whole views
    torch.testing.assert_close(
        doubled(inputs[:2], samples(), mode='loss')['loss_similarity_stage1'],
        losses['loss_similarity_stage1'],
    )


def test_split_grid():
    images = torch.arange(2 * 36).reshape(2, 1, 6, 6)
    crops = split_grid(images, 3)
    assert crops.shape == (18, 1, 2, 2)
    assert torch.equal(crops[9 + 5], images[1, :, 2:4, 4:6])
    message = 'local_grid is 3, but a local view is 7x6 px, expected sides divisible by it'
    with pytest.raises(ValueError, match=message) as error:
        split_grid(torch.zeros(1, 1, 6, 7), 3)
    assert '\n' not in str(error.value)


def test_another_grid_of_the_same_size():
    """2x2 crops of 24 px divide into 3x3 as well, but not into crops."""
    inputs, data = [*views(), *views(size=48)], samples()
    for sample in data:
        sample.set_metainfo(dict(local_grid=2))
    with pytest.raises(ValueError, match='local_grid is 3, but LocalCrops made a grid of 2'):
        build(ALL)(inputs, data, mode='loss')
    build(ALL, local_grid=2)(inputs, data, mode='loss')


def test_other_numbers_of_stages_and_layers():
    neck = MultiStageProjector([8, 16], hid_channels=4, out_channels=6, num_layers=[2, 3])
    out = neck([torch.randn(3, 8), torch.randn(3, 16)])
    assert [tuple(z.shape) for z in out] == [(3, 6), (3, 6)]


def test_features_for_others():
    maps = build(None).eval()(torch.randn(1, 3, 64, 64), mode='tensor')
    assert [m.shape[1] for m in maps] == CHANNELS


def test_errors():
    with pytest.raises(ValueError, match='expected a number of 2 or more for each'):
        MultiStageProjector([8, 16], num_layers=[3])
    with pytest.raises(ValueError, match='expected a number of 0 or more'):
        AugmentationAwareHead(dict(crop=-1))
    with pytest.raises(ValueError, match='expected a number of 0 or more'):
        AugmentationAwareHead(dict(colour=1))
    with pytest.raises(ValueError, match='a list of two views or more'):
        build(None)(torch.zeros(2, 3, 32, 32), [], mode='loss')
    with pytest.raises(ValueError, match='no crop_difference'):
        build(ALL)(views(), [DataSample()] * 4, mode='loss')


def test_published_model_is_the_default(repo_root):
    """The config spells out what the classes default to."""
    cfg = Config.fromfile(repo_root / 'configs/_base_/models/detsim_r18.py')
    for key, defaults in (
        ('neck', MultiStageProjector),
        ('head', MultiStageSimilarityHead),
        ('auxiliary_head', AugmentationAwareHead),
    ):
        with DefaultScope.overwrite_default_scope('mmpretrain'), torch.device('meta'):
            assert str(MODELS.build(cfg.model[key])) == str(defaults())
    assert tuple(cfg.model.stage_weights) == (0.1, 0.2, 0.3, 0.4)
