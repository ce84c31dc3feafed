# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""DetSim against the authors' program, through the converter that users of theirs take."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

import smallobj_mm  # noqa: F401
from smallobj_mm.checkpoints.converters.detsim import convert_detsim, rename_detsim
from smallobj_mm.checkpoints.reading import load_plain
from smallobj_mm.registry import MODELS

pytest.importorskip('mmpretrain')
TARGETS = ('crop', 'color')


@pytest.fixture(scope='module')
def values(golden):
    return golden('detsim')


@pytest.fixture
def published(repo_root, authors_state_dict):
    """The published model with the golden weights, in training mode."""
    cfg = Config.fromfile(repo_root / 'configs/_base_/models/detsim_r18.py')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
    state_dict, _, _ = convert_detsim(authors_state_dict('detsim'), 'golden')
    model.load_state_dict(state_dict)
    return model.train()


@pytest.fixture
def model(published):
    """The published model in double precision: whatever the CPU and the number of threads."""
    return published.double()


def views_of(values):
    return [values[name].double() for name in ('view1', 'view2')]


def raw_losses(model, values):
    """Similarity and auxiliary losses of each stage, not weighted."""
    views = views_of(values)
    pooled = [model.pooled_features(view) for view in views]
    projected = [model.neck(features) for features in pooled]
    there = model.head.loss(*projected)
    back = model.head.loss(*projected[::-1])
    targets = {name: values[f'{name}_diff'].double() for name in TARGETS}
    auxiliary = model.auxiliary_head.loss(*pooled, targets)
    similarity = torch.stack([a + b for a, b in zip(there, back)])
    auxiliary = torch.stack([torch.stack([s[n] for n in TARGETS]) for s in auxiliary])
    return pooled, similarity, auxiliary


def test_losses_and_features(model, values):
    pooled, similarity, auxiliary = raw_losses(model, values)
    close = dict(rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(similarity, values['similarity_losses'], **close)
    torch.testing.assert_close(auxiliary, values['auxiliary_losses'], **close)
    for stage in (1, 4):
        ours, golden = pooled[0][stage - 1], values[f'features_stage{stage}'].double()
        torch.testing.assert_close(ours, golden, rtol=1e-4, atol=1e-5)


def samples(values):
    from mmpretrain.structures import DataSample

    fields = [{f'{n}_difference': values[f'{n}_diff'][i] for n in TARGETS} for i in range(4)]
    return [DataSample(**one) for one in fields]


def test_total(model, values):
    """As a training step computes it, with the stages' weights."""
    losses = model(views_of(values), samples(values), mode='loss')
    assert len(losses) == 12
    total, _ = model.parse_losses(losses)
    torch.testing.assert_close(total, values['total'], rtol=1e-5, atol=0)


def test_gradients(model, values):
    total, _ = model.parse_losses(model(views_of(values), samples(values), mode='loss'))
    total.backward()
    parameters = dict(model.named_parameters())
    assert len(values['grad_norm_keys']) == len(parameters) == 183
    vanishing = 0
    for key, norm in zip(values['grad_norm_keys'], values['grad_norms']):
        names, _ = rename_detsim({str(key): torch.zeros(1)})
        ours = parameters[next(iter(names))].grad
        # A predictor begins with BN, which takes out what the projector's last bias adds: these
        # gradients are zero but for rounding.
        assert ours.norm().item() == pytest.approx(norm.item(), rel=1e-3, abs=1e-7), key
        vanishing += norm.item() < 1e-7
    assert vanishing == 4


def test_converter(convert, tmp_path, authors_state_dict, published):
    """From the nested file that the authors' program writes."""
    nested = {}
    for key, tensor in authors_state_dict('detsim').items():
        part, _, name = key.partition('.')
        if not part.startswith('ss_predictor') or part == 'ss_predictor':
            nested.setdefault(part, {})[name] = tensor
    torch.save(dict(nested, epoch=3), tmp_path / 'authors.pth')
    printed = convert('detsim', tmp_path / 'authors.pth', tmp_path / 'ours.pth')
    assert 'backbone.conv2.weight' in printed
    assert 'does not hold: auxiliary_head.stages.0, auxiliary_head.stages.1' in printed
    ours = load_plain(tmp_path / 'ours.pth')['state_dict']
    expected = published.state_dict()
    assert {n for n in expected if n not in ours} == {
        n for n in expected if n.startswith(tuple(f'auxiliary_head.stages.{i}' for i in range(3)))
    }
    assert all(torch.equal(ours[name], expected[name]) for name in ours)


@pytest.mark.parametrize(
    'name',
    [
        'pro4.0.weight',
        'pro1.2.weight',
        'projector1.0.weight',
        'ss_predictor.0.weight',
        'backbone.fc.weight',
        'pre.0.weight',
    ],
)
def test_unknown_names(name):
    with pytest.raises(ValueError, match=f'{name}: unknown name'):
        rename_detsim({name: torch.zeros(1)})


def test_no_backbone():
    with pytest.raises(ValueError, match='x.pth: found 1 tensors without the first layer'):
        convert_detsim({'projector.0.weight': torch.zeros(1)}, 'x.pth')
