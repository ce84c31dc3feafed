# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from smallobj_mm.checkpoints.backbone import extract_backbone
from smallobj_mm.models.selfsup.feature_distillation import FeatureDistillation, whiten
from smallobj_mm.registry import MODELS

MEAN, STD = [100.0, 110.0, 120.0], [50.0, 55.0, 60.0]


def resnet(width: int) -> dict:
    return dict(
        type='mmpretrain.ResNet', depth=18, stem_channels=width, base_channels=width,
        out_indices=(0, 1, 2),
    )  # fmt: skip


def config(**changes) -> dict:
    return {
        **dict(
            type='FeatureDistillation',
            backbone=resnet(8),
            teacher=resnet(4),
            student_channels=[8, 16, 32],
            teacher_channels=[4, 8, 16],
            data_preprocessor=dict(mean=MEAN, std=STD, bgr_to_rgb=True),
        ),
        **changes,
    }


def build(**changes) -> FeatureDistillation:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(config(**changes))
    model.init_weights()
    return model.train()


def test_whitened_over_channels():
    white = whiten(torch.randn(2, 16, 3, 5) * 7 + 3)
    torch.testing.assert_close(white.mean(dim=1), torch.zeros(2, 3, 5), atol=1e-5, rtol=0)
    variance = white.var(dim=1, unbiased=False)
    torch.testing.assert_close(variance, torch.ones(2, 3, 5), atol=1e-3, rtol=0)


def test_the_teacher_gets_images_in_its_own_normalization():
    mean, std = [90.0, 91.0, 92.0], [30.0, 31.0, 32.0]
    model = build(teacher_mean=mean, teacher_std=std)
    pixels = torch.rand(2, 3, 32, 32) * 255
    as_column = lambda values: torch.tensor(values).view(3, 1, 1)  # noqa: E731
    normalized = (pixels - as_column(MEAN)) / as_column(STD)
    wanted = model.teacher((pixels - as_column(mean)) / as_column(std))
    for one, raw in zip(model.teacher_maps(normalized), wanted):
        torch.testing.assert_close(one, whiten(raw), atol=1e-3, rtol=1e-3)


def test_the_student_learns_and_the_teacher_does_not():
    model = build()
    before = {name: value.clone() for name, value in model.teacher.state_dict().items()}
    optim_wrapper = build_optim_wrapper(
        model, dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-3))
    )
    views = [torch.randint(0, 256, (4, 3, 32, 32)) for _ in range(2)]
    logs = [model.train_step(dict(inputs=views, data_samples=[]), optim_wrapper) for _ in range(25)]
    assert logs[-1]['loss'] < 0.7 * logs[0]['loss']
    assert logs[-1]['cosine_stage3'] > logs[0]['cosine_stage3'] + 0.2
    assert not model.teacher.training
    for name, value in model.teacher.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_weights_of_stages():
    torch.manual_seed(1)
    model = build(stage_weights=[1, 0, 2])
    views = [torch.randn(2, 3, 32, 32)]
    weighted = model.loss(views, [])
    model.stage_weights = (1, 1, 1)
    plain = model.loss(views, [])
    ratios = [float(weighted[f'loss_stage{i}'] / plain[f'loss_stage{i}']) for i in (1, 2, 3)]
    assert ratios == pytest.approx([1, 0, 2])


def test_the_backbone_is_handed_over_without_the_rest():
    model = build(backbone=resnet(64), student_channels=[64, 128, 256])
    backbone = extract_backbone(dict(state_dict=model.state_dict()), 'distilled.pth')
    own = model.backbone.state_dict()
    assert set(backbone) == set(own)
    assert all(torch.equal(tensor, own[name]) for name, tensor in backbone.items())


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (dict(teacher_channels=[4, 8]), r'teacher_channels is \[4, 8\], expected 3 numbers of 1'),
        (dict(stage_weights=[1, -1, 1]), r'stage_weights is \[1, -1, 1\], expected 3 numbers of 0'),
        (dict(beta=0), 'beta is 0, expected a number above 0'),
    ],
)
def test_options_out_of_range(change, said):
    with pytest.raises(ValueError, match=said):
        build(**change)


def test_maps_that_do_not_fit():
    model = build(teacher=dict(resnet(4), out_indices=(1, 2, 3)), teacher_channels=[8, 16, 32])
    with pytest.raises(ValueError, match='the student gives maps of .* same sizes; correct'):
        model.loss([torch.randn(1, 3, 64, 64)], [])
