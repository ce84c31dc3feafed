# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""InteriorBoundaryFusionHead in mmseg's segmentor."""

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from smallobj_mm.models.utils import switch_to_deploy


@pytest.mark.parametrize('step', [1, 2])
def test_every_parameter_learns(build_segmentor, samples, step):
    """Nothing that DistributedDataParallel would find unused."""
    model = build_segmentor(step)
    losses = model(torch.randn(2, 3, 32, 48), samples((32, 48), (32, 48)), mode='loss')
    assert set(losses) == {'decode.loss_interior', 'decode.loss_boundary', 'decode.loss_mask'}
    sum(losses.values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize('weights', [[0, 1, 1], [1, 0, 0.5], [0, 0, 1]])
def test_maps_without_weight(build_segmentor, samples, weights):
    """They have no loss, and still nothing is left without a gradient."""
    model = build_segmentor(map_weights=weights)
    losses = model(torch.randn(2, 3, 32, 48), samples((32, 48), (32, 48)), mode='loss')
    names = [name for name, weight in zip(('interior', 'boundary', 'mask'), weights) if weight]
    assert set(losses) == {f'decode.loss_{name}' for name in names}
    sum(losses.values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    if not weights[0]:
        assert not model.decode_head.head_module.interior_logit.weight.grad.any()


def test_losses_are_summed_and_weighted(build_segmentor, samples):
    """Each map's loss is that of its own target."""
    model = build_segmentor(map_weights=[1.0, 0.5, 2.0]).eval()
    truth = samples((32, 48), (32, 48))
    image = torch.randn(2, 3, 32, 48)
    losses = model(image, truth, mode='loss')
    targets = {
        'interior': [s.gt_interior_map for s in truth],
        'boundary': [s.gt_boundary_map for s in truth],
        'mask': [s.gt_sem_seg for s in truth],
    }
    for logit, weight, (name, maps) in zip(
        model(image, mode='tensor'), (1.0, 0.5, 2.0), targets.items()
    ):
        target = torch.stack([m.data for m in maps]).float()
        expected = weight * sum(loss(logit, target) for loss in model.decode_head.loss_decode)
        torch.testing.assert_close(losses[f'decode.loss_{name}'], expected)


def test_ignored_pixels_do_not_count(build_segmentor, samples):
    model = build_segmentor().eval()
    image = torch.randn(1, 3, 32, 48)
    (truth,) = samples((32, 48))
    truth.gt_sem_seg.data[..., 30:] = 255
    before = model(image, [truth], mode='loss')
    truth.gt_interior_map.data[..., 30:] = 0.7
    truth.gt_boundary_map.data[..., 30:] = 0.3
    after = model(image, [truth], mode='loss')
    for name, loss in before.items():
        assert torch.equal(loss, after[name])


def test_labels_must_be_decoupled(build_segmentor, samples):
    truth = samples((32, 32))
    del truth[0].gt_boundary_map
    with pytest.raises(ValueError, match='no gt_boundary_map, expected the decoupled label'):
        build_segmentor()(torch.randn(1, 3, 32, 32), truth, mode='loss')


def test_prior(build_segmentor):
    """All three logits start from the share of target pixels that was given."""
    model = build_segmentor(prior_prob=0.02)
    model.init_weights()
    module = model.decode_head.head_module
    for conv in (module.interior_logit, module.boundary_logit, module.mask_logit[-1]):
        torch.testing.assert_close(conv.bias.sigmoid(), torch.full_like(conv.bias, 0.02))


@pytest.mark.parametrize('step', [1, 2])
@pytest.mark.parametrize('sizes', [[(25, 33)], [(25, 33), (40, 17), (16, 16)]])
def test_predictions_have_the_size_of_the_image(build_segmentor, samples, sizes, step):
    """Batches of images of different, odd sizes, through the preprocessor."""
    model = build_segmentor(step).eval()
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]
    with torch.no_grad():
        outs = model.test_step(dict(inputs=images, data_samples=samples(*sizes)))
    for out, size in zip(outs, sizes):
        assert out.seg_logits.data.shape == (1, *size)
        probability = out.seg_logits.data
        assert 0 <= probability.min() and probability.max() <= 1
        assert torch.equal(out.pred_sem_seg.data, (probability > 0.5).float())


def test_slide_inference(build_segmentor, samples):
    """mmseg's windows are smaller than the padded image."""
    model = build_segmentor().eval()
    model.test_cfg = ConfigDict(mode='slide', crop_size=(16, 16), stride=(12, 12))
    image = torch.randint(0, 256, (3, 25, 33), dtype=torch.uint8)
    with torch.no_grad():
        out = model.test_step(dict(inputs=[image], data_samples=samples((25, 33))))[0]
    assert out.seg_logits.data.shape == (1, 25, 33)


def test_resized_images_are_evaluated_at_their_own_size(build_segmentor, samples):
    model = build_segmentor().eval()
    truth = samples((32, 32))
    truth[0].set_metainfo(dict(ori_shape=(45, 27)))
    image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    out = model.test_step(dict(inputs=[image], data_samples=truth))[0]
    assert out.seg_logits.data.shape == (1, 45, 27)


@torch.no_grad()
def test_deployed(build_segmentor, randomize):
    """The same three maps; no batch norm is left."""
    model = randomize(build_segmentor()).eval()
    image = torch.randn(2, 3, 32, 48)
    deployed = switch_to_deploy(copy.deepcopy(model))
    for out, expected in zip(deployed(image, mode='tensor'), model(image, mode='tensor')):
        torch.testing.assert_close(out, expected, atol=1e-4, rtol=1e-4)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in deployed.modules())


class TwoResNets(torch.nn.Module):
    """Another encoder with two streams."""

    def __init__(self) -> None:
        super().__init__()
        make = dict(type='ResNetV1c', depth=18, base_channels=4, out_indices=(0, 1, 2))
        self.streams = torch.nn.ModuleList(MODELS.build(make) for _ in range(2))

    def forward(self, x: torch.Tensor) -> tuple:
        return tuple(stream(x) for stream in self.streams)


def test_head_of_another_encoder(samples):
    """Its finest level is a quarter of the image: the logits are enlarged."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        MODELS.register_module(module=TwoResNets, force=True)
        model = MODELS.build(
            dict(
                type='EncoderDecoder',
                data_preprocessor=dict(type='SegDataPreProcessor'),
                backbone=dict(type='TwoResNets'),
                decode_head=dict(
                    type='InteriorBoundaryFusionHead',
                    head_module=dict(
                        type='InteriorBoundaryFusionHeadModule',
                        in_channels=[4, 8, 16],
                        channels=8,
                    ),
                ),
                test_cfg=ConfigDict(mode='whole'),
            )
        )
    image, truth = torch.randn(2, 3, 32, 48), samples((32, 48), (32, 48))
    losses = model(image, truth, mode='loss')
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.decode_head.parameters())
    model.eval()
    assert model(image, truth, mode='predict')[0].seg_logits.data.shape == (1, 32, 48)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(num_classes=3), 'num_classes=3 and out_channels=1'),
        (dict(map_weights=[1.0]), 'map_weights has 1 numbers'),
        (dict(threshold=1.5), 'threshold is 1.5'),
        (dict(prior_prob=0.0), 'prior_prob is 0.0'),
    ],
)
def test_wrong_arguments(build_segmentor, options, message):
    with pytest.raises(ValueError, match=message):
        build_segmentor(**options)


@pytest.mark.parametrize('step', [1, 2])
def test_side_outputs(build_segmentor, samples, step):
    """Each level learns the mask at its own resolution; nothing of it is left when deployed."""
    model = build_segmentor(step, side_levels=(0, 2), side_weight=0.25, prior_prob=0.02)
    model.init_weights()
    image, truth = torch.randn(2, 3, 32, 48), samples((32, 48), (32, 48))
    head = model.decode_head
    with torch.no_grad():
        for conv in head.side_logits:
            conv.weight.normal_()
    losses = model(image, truth, mode='loss')
    levels = head.head_module.forward_with_levels(model.extract_feat(image))[1]
    target = torch.stack([s.gt_sem_seg.data for s in truth]).float()
    terms = []
    for level, conv in zip((0, 2), head.side_logits):
        logit = torch.nn.functional.pixel_shuffle(conv(levels[level]), step)
        small = torch.nn.functional.max_pool2d(target, 2**level)
        terms += [loss(logit, small, None) for loss in head.loss_decode]
    torch.testing.assert_close(losses['decode.loss_side'], 0.25 * sum(terms) / 2)
    sum(losses.values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []

    expected = model.eval()(image, mode='tensor')
    deployed = switch_to_deploy(copy.deepcopy(model))
    assert not [name for name in deployed.state_dict() if 'side' in name]
    for one, other in zip(deployed(image, mode='tensor'), expected):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_side_outputs_leave_the_published_model_as_it_is(build_segmentor):
    assert not [name for name in build_segmentor().state_dict() if 'side' in name]


def test_side_levels_must_be_there(build_segmentor):
    with pytest.raises(ValueError, match=r'side_levels is \(0, 3\), expected some of \[0, 1, 2\]'):
        build_segmentor(side_levels=(0, 3))
    module = dict(fusion=False, type='InteriorBoundaryFusionHeadModule')
    with pytest.raises(ValueError, match=r'expected some of \[\]'):
        build_segmentor(head_module=module, side_levels=(0,))


def test_without_fusion(build_segmentor, samples):
    """The mask comes from the two streams' final maps; everything learns."""
    module = dict(fusion=False, type='InteriorBoundaryFusionHeadModule')
    model = build_segmentor(head_module=module)
    assert not [name for name in model.state_dict() if 'fusion' in name]
    losses = model(torch.randn(2, 3, 32, 48), samples((32, 48), (32, 48)), mode='loss')
    assert set(losses) == {'decode.loss_interior', 'decode.loss_boundary', 'decode.loss_mask'}
    sum(losses.values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize('side_levels', [(), (1,)])
def test_single_stream(build_segmentor, samples, side_levels):
    """One stream that learns the mask alone; it predicts as the others do."""
    model = build_segmentor(
        head_module=dict(type='SingleStreamHeadModule'),
        num_streams=1,
        side_levels=side_levels,
        prior_prob=0.02,
    )
    model.init_weights()
    losses = model(torch.randn(2, 3, 32, 48), samples((32, 48), (32, 48)), mode='loss')
    assert set(losses) == {'decode.loss_mask'} | ({'decode.loss_side'} if side_levels else set())
    sum(losses.values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    images = [torch.randint(0, 256, (3, 25, 33), dtype=torch.uint8)]
    with torch.no_grad():
        (out,) = model.eval().test_step(dict(inputs=images, data_samples=samples((25, 33))))
    assert out.seg_logits.data.shape == (1, 25, 33)
    with pytest.raises(ValueError, match='got 2 levels, expected 3'):
        model.decode_head([torch.zeros(1, 4, 8, 8)] * 2)


def test_maps_without_weight_have_no_loss(build_segmentor, samples):
    model = build_segmentor(map_weights=[0.0, 1.0, 1.0])
    losses = model(torch.randn(1, 3, 32, 48), samples((32, 48)), mode='loss')
    assert set(losses) == {'decode.loss_boundary', 'decode.loss_mask'}
