# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import io

import pytest
import torch
from torch import nn
from torch.nn import functional

from smallobj_mm.models.backbones import EfficientNetLite0
from smallobj_mm.models.backbones.efficientnet_lite import SameConv2d
from smallobj_mm.models.utils import switch_to_deploy


@pytest.mark.parametrize('out_indices', [(0, 1, 2), (0, 1, 2, 3), (1,)])
def test_strides_and_channels(out_indices):
    model = EfficientNetLite0(out_indices)
    outs = model(torch.rand(2, 3, 64, 96))
    channels = (24, 40, 112, 320)
    assert [tuple(o.shape) for o in outs] == [
        (2, channels[i], 16 >> i, 24 >> i) for i in out_indices
    ]
    assert model.out_channels == tuple(channels[i] for i in out_indices)


def test_levels_that_are_not_used_are_not_built():
    sizes = [sum(p.numel() for p in EfficientNetLite0((i,)).parameters()) for i in range(4)]
    # of 3.37 million outside the classifier (Lite0 has 4.65 with its 1280-channel head)
    assert sizes == sorted(sizes) and sizes[2] < 0.25 * sizes[3]
    assert len(EfficientNetLite0((0, 1)).levels) == 2


@pytest.mark.parametrize('kernel', [3, 5])
@pytest.mark.parametrize('size', [(8, 12), (2, 4), (16, 6)])
def test_same_padding_of_even_sides(kernel, size):
    """The rule of TensorFlow: ceil(side / 2) outputs, the odd pixel at the right and bottom."""
    conv = SameConv2d(4, 4, kernel, groups=4, bias=False).double()
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    pads = []
    for side in reversed(size):
        total = max((-(-side // 2) - 1) * 2 + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    expected = functional.conv2d(functional.pad(x, pads), conv.weight, stride=2, groups=4)
    torch.testing.assert_close(conv(x), expected)


def test_every_parameter_is_trained(without_gradient):
    model = EfficientNetLite0()
    model.init_weights()
    sum(out.square().mean() for out in model(torch.rand(2, 3, 64, 64))).backward()
    assert without_gradient(model) == []


def test_frozen_levels_and_norms_stay():
    model = EfficientNetLite0(frozen_levels=0)
    model.train()
    trained = {n.split('.')[0] + n.split('.')[1] for n, p in model.named_parameters()
               if p.requires_grad}  # fmt: skip
    assert trained == {'levels1', 'levels2'}
    assert not model.stem.training and not model.levels[0].training and model.levels[1].training
    norms = [m for m in EfficientNetLite0(norm_eval=True).train().modules()
             if isinstance(m, nn.BatchNorm2d)]  # fmt: skip
    assert norms and not any(norm.training for norm in norms)


@torch.no_grad()
def test_folds_for_deployment(randomize):
    model = randomize(EfficientNetLite0()).eval()
    x = torch.rand(1, 3, 64, 96)
    before = model(x)
    folded = switch_to_deploy(model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    for a, b in zip(before, folded(x)):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_exports_for_images_of_any_size(randomize):
    """The padding does not depend on the size that was traced."""
    pytest.importorskip('onnx')
    runtime = pytest.importorskip('onnxruntime')
    model = switch_to_deploy(randomize(EfficientNetLite0()).eval())
    file = io.BytesIO()
    torch.onnx.export(
        model, (torch.rand(1, 3, 64, 64),), file, dynamo=False, input_names=['x'],
        dynamic_axes={'x': {2: 'h', 3: 'w'}},
    )  # fmt: skip
    session = runtime.InferenceSession(file.getvalue(), providers=['CPUExecutionProvider'])
    x = torch.rand(1, 3, 96, 160)
    for a, b in zip(model(x), session.run(None, {'x': x.numpy()})):
        torch.testing.assert_close(a, torch.from_numpy(b), atol=1e-4, rtol=1e-4)


def test_errors_are_one_line():
    cases = [
        (lambda: EfficientNetLite0(()), r'out_indices is \(\), expected rising levels'),
        (lambda: EfficientNetLite0((2, 1)), r'out_indices is \(2, 1\)'),
        (lambda: EfficientNetLite0((4,)), r'out_indices is \(4,\)'),
        (lambda: EfficientNetLite0((0,), frozen_levels=1), 'frozen_levels is 1, expected'),
        (lambda: SameConv2d(1, 1, 4), 'kernel_size 4'),
        (lambda: SameConv2d(1, 1, 3, stride=1), 'stride 1'),
        (
            lambda: EfficientNetLite0()(torch.rand(1, 3, 40, 32)),
            'images of 40x32 px, expected multiples of 16; set pad_size_divisor=16',
        ),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message) as error:
            call()
        assert '\n' not in str(error.value)
