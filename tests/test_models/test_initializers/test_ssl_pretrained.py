# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Every kind of checkpoint that the backbone may start from, and those that it must refuse."""

import os
import pickle

import pytest
import torch
from torch import nn

import smallobj_mm.models.initializers.ssl_pretrained as ssl_pretrained
from smallobj_mm.models.backbones import SSLResNet18

NAMES = 120


@pytest.fixture(scope='module')
def weights():
    """A ResNet-18's tensors as torchvision names them, each of them recognizable."""
    torch.manual_seed(7)
    model = SSLResNet18()
    return {
        k: torch.randn_like(v) if v.is_floating_point() else torch.tensor(41)
        for k, v in model.state_dict().items()
    }


@pytest.fixture
def logged(monkeypatch):
    """Lines that the initializer logs."""
    lines = []
    monkeypatch.setattr(ssl_pretrained, 'print_log', lambda text, logger: lines.append(text))
    return lines


@pytest.fixture
def load(tmp_path):
    """Function that saves a checkpoint and initializes a backbone from it."""

    def run(checkpoint, name='ssl.pth', **options):
        path = tmp_path / name
        if name.endswith('.safetensors'):
            pytest.importorskip('safetensors.torch').save_file(checkpoint, path)
        else:
            torch.save(checkpoint, path)
        model = SSLResNet18(init_cfg=dict(type='SSLPretrained', checkpoint=str(path), **options))
        model.init_weights()
        return model

    return run


def test_without_a_checkpoint_weights_are_those_of_any_resnet():
    """So that a config can name the place of a checkpoint, and the command line the file."""
    states = []
    for init_cfg in (None, dict(type='SSLPretrained', checkpoint=None)):
        torch.manual_seed(3)
        model = SSLResNet18(init_cfg=init_cfg)
        torch.manual_seed(4)
        model.init_weights()
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def prefixed(weights, prefix):
    return {prefix + k: v for k, v in weights.items()}


def other(weights):
    """The same names with other numbers: a second copy of the network."""
    return {k: v + 1 for k, v in weights.items()}


def fc(prefix=''):
    return {f'{prefix}fc.weight': torch.zeros(10, 512), f'{prefix}fc.bias': torch.zeros(10)}


CHECKPOINTS = {
    'plain': lambda w: w,
    'torchvision': lambda w: {**w, **fc()},
    'state_dict': lambda w: {'state_dict': w, 'epoch': 3, 'arch': 'resnet18'},
    'model': lambda w: {'model': w, 'optimizer': {'state': {}, 'param_groups': []}},
    'backbone': lambda w: {'backbone': w},
    'module.': lambda w: {'state_dict': prefixed(w, 'module.')},
    'backbone.': lambda w: {'state_dict': prefixed(w, 'backbone.')},
    'encoder_q.': lambda w: {'state_dict': prefixed(w, 'encoder_q.')},
    'moco': lambda w: {
        'epoch': 200,
        'state_dict': {
            # The slow copy first and second, so that no order can be what decides.
            **prefixed(other(w), 'module.encoder_k.'),
            **prefixed(w, 'module.encoder_q.'),
            **fc('module.encoder_q.'),
            'module.queue': torch.zeros(128, 64),
        },
    },
    'moco, keys last': lambda w: {
        'state_dict': {
            **prefixed(w, 'module.encoder_q.'),
            **prefixed(other(w), 'module.encoder_k.'),
        }
    },
    'simsiam': lambda w: {
        'state_dict': {
            **prefixed(w, 'module.encoder.'),
            'module.predictor.0.weight': torch.zeros(4, 4),
        }
    },
    'detsim': lambda w: {
        'backbone': {**w, 'conv2.weight': torch.zeros(512, 512, 1, 1)},
        'projector': {'layer1.weight': torch.zeros(2, 2)},
        'predictor': {'layer1.weight': torch.zeros(2, 2)},
    },
    'mmpretrain': lambda w: {
        'meta': {'epoch': 100},
        'state_dict': {
            **prefixed(w, 'backbone.'),
            'head.fc.weight': torch.zeros(4, 512),
            'data_preprocessor.mean': torch.zeros(3, 1, 1),
        },
    },
    'mmpretrain with target': lambda w: {
        'state_dict': {
            **prefixed(other(w), 'target_net.module.0.'),
            **prefixed(w, 'backbone.'),
        },
    },
    'mmengine training checkpoint': lambda w: {
        'meta': {'epoch': 1},
        'state_dict': prefixed(w, 'backbone.'),
        'ema_state_dict': prefixed(other(w), 'module.backbone.'),
        'message_hub': {'log_scalars': {}},
        'optimizer': {'state': {0: {'m': torch.ones(2)}}},
    },
}


@pytest.mark.parametrize('kind', CHECKPOINTS)
def test_every_tensor_is_loaded(kind, weights, load, logged):
    model = load(CHECKPOINTS[kind](weights))
    state = model.state_dict()
    assert len(state) == NAMES
    assert [k for k in state if not torch.equal(state[k], weights[k])] == []
    assert len(logged) == 1 and f'loaded {NAMES}/{NAMES} tensors of SSLResNet18' in logged[0]


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.encoder_q.'])
def test_safetensors(prefix, weights, load, logged):
    model = load(prefixed(weights, prefix), 'ssl.safetensors')
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
    assert 'loaded 120/120' in logged[0]


def test_what_the_model_does_not_have_is_named(weights, load, logged):
    load(CHECKPOINTS['detsim'](weights))
    assert 'not in the model: conv2.weight' in logged[0]


def test_prefix_can_be_given(weights, load):
    both = {**prefixed(weights, 'student.'), **prefixed(other(weights), 'online.')}
    for prefix, expected in (('student.', weights), ('online.', other(weights))):
        model = load({'state_dict': both}, prefix=f'state_dict.{prefix}')
        assert torch.equal(model.conv1.weight, expected['conv1.weight'])


def test_missing_counters_are_fine(weights, load, logged):
    """Files from before PyTorch 0.4.1 have none, safetensors exports leave them out."""
    old = {k: v for k, v in weights.items() if not k.endswith('num_batches_tracked')}
    model = load({'state_dict': old})
    assert torch.equal(model.layer4[1].bn2.running_var, weights['layer4.1.bn2.running_var'])
    assert 'loaded 100/120' in logged[0]


def test_any_module_with_the_names(weights, tmp_path, logged):
    """The initializer is not bound to our backbone."""
    torch.save(
        {'backbone': {'0.weight': torch.ones(2, 2), '0.bias': torch.ones(2)}}, tmp_path / 'x.pth'
    )
    module = nn.Sequential(nn.Linear(2, 2))
    ssl_pretrained.SSLPretrainedInit(str(tmp_path / 'x.pth'))(module)
    assert module[0].weight.sum() == 4 and 'loaded 2/2 tensors of Sequential' in logged[0]


# ---- refused


def refused(call, *words):
    """Assert one line of error that holds the words."""
    with pytest.raises(ValueError) as error:
        call()
    text = str(error.value)
    assert '\n' not in text and len(text) < 600
    assert [w for w in words if w not in text] == []


def test_nothing_fits(load, weights):
    """Names of another network: the authors' own loader would report success."""
    foreign = {f'model.0.{i}.w': torch.zeros(2) for i in range(122)}
    refused(
        lambda: load({'state_dict': foreign}),
        'ssl.pth',
        '0 of 120 tensors fit',
        "expected names like 'conv1.weight'",
        'found state_dict.model.0.0.w',
        'and 119 more',
    )


@pytest.mark.parametrize('strict', [True, False])
def test_no_tensors_at_all(load, strict):
    refused(lambda: load({'epoch': 3}, strict=strict), '0 of 120 tensors fit', 'found none')


def test_partial(weights, load):
    part = {k: v for k, v in weights.items() if not k.startswith('layer4.1.conv2')}
    refused(
        lambda: load(prefixed(part, 'backbone.')),
        '119 of 120 tensors fit',
        'not found: layer4.1.conv2.weight',
        'strict=False',
    )


def test_wrong_shape(weights, load):
    wrong = {**weights, 'conv1.weight': torch.zeros(64, 1, 7, 7)}
    refused(
        lambda: load(wrong),
        '119 of 120 tensors fit',
        'of another shape: conv1.weight (64, 1, 7, 7) instead of (64, 3, 7, 7)',
    )


def test_refusal_leaves_the_model_alone(weights, load, tmp_path):
    """Nothing is loaded half-way."""
    wrong = {**weights, 'layer4.1.conv2.weight': torch.zeros(1)}
    torch.save(wrong, tmp_path / 'x.pth')
    model = SSLResNet18()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    refused(lambda: ssl_pretrained.SSLPretrainedInit(str(tmp_path / 'x.pth'))(model))
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_not_strict_takes_what_fits(weights, load, logged):
    part = {k: v for k, v in weights.items() if k.startswith('layer1')}
    part['layer1.0.conv1.weight'] = torch.zeros(3)
    model = load(prefixed(part, 'module.'), strict=False)
    count = len(part) - 1
    assert f'loaded {count}/120' in logged[0]
    assert torch.equal(model.layer1[1].conv2.weight, weights['layer1.1.conv2.weight'])


def test_not_strict_with_nothing_that_fits(load):
    refused(lambda: load({'state_dict': {'x.weight': torch.zeros(1)}}, strict=False), '0 of 120')


def test_wrong_prefix(weights, load):
    refused(
        lambda: load(prefixed(weights, 'backbone.'), prefix='encoder.'),
        '0 of 120',
        'found backbone.conv1.weight',
    )


class _RunsCode:
    def __reduce__(self):
        return os.mkdir, ('was_run',)


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize('protocol', [2, 4])
@pytest.mark.parametrize('strict', [True, False])
def test_a_pickle_that_would_run_code(weights, tmp_path, monkeypatch, protocol, strict):
    monkeypatch.chdir(tmp_path)
    torch.save({'state_dict': weights, 'x': _RunsCode()}, 'zip.pth', pickle_protocol=protocol)
    with open('plain.pth', 'wb') as f:
        pickle.dump({'state_dict': {}, 'x': _RunsCode()}, f, protocol=protocol)
    for name in ('zip.pth', 'plain.pth'):
        init = ssl_pretrained.SSLPretrainedInit(name, strict=strict)
        refused(lambda init=init: init(SSLResNet18()), name)
        assert not (tmp_path / 'was_run').exists()


def test_missing_and_damaged_files(tmp_path, weights):
    with pytest.raises(FileNotFoundError, match='none.pth: no such checkpoint'):
        ssl_pretrained.SSLPretrainedInit(str(tmp_path / 'none.pth'))(SSLResNet18())
    torch.save(weights, tmp_path / 'cut.pth')
    whole = (tmp_path / 'cut.pth').read_bytes()
    (tmp_path / 'cut.pth').write_bytes(whole[: len(whole) // 2])
    init = ssl_pretrained.SSLPretrainedInit(str(tmp_path / 'cut.pth'))
    refused(lambda: init(SSLResNet18()), 'cut.pth', 'damaged')


def test_a_backbone_without_the_last_stage_takes_what_it_has(tmp_path, weights):
    """A network of strides 4 to 16 takes its 90 tensors 1:1 from a checkpoint of 120."""
    torch.save(weights, tmp_path / 'ssl.pth')
    init = dict(type='SSLPretrained', checkpoint=str(tmp_path / 'ssl.pth'))
    model = SSLResNet18(out_indices=(0, 1, 2), init_cfg=init)
    model.init_weights()
    state = model.state_dict()
    assert len(state) == 90
    assert all(torch.equal(state[name], weights[name]) for name in state)
