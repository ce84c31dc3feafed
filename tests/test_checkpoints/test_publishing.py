# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Weights to hand on."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save

from smallobj_mm.checkpoints.backbone import describe_training
from smallobj_mm.checkpoints.publishing import publishable
from smallobj_mm.checkpoints.reading import load_from_local_plain, load_plain, read_header
from smallobj_mm.utils.errors import UserError


def state(largest: float = 2.0) -> dict:
    return {
        'conv.weight': torch.full((2, 3, 3, 3), largest),
        'bn.running_var': torch.full((2,), 1e6),
        'bn.num_batches_tracked': torch.tensor(7),
    }


def test_half():
    """Kernels are halved; vectors and counters are not."""
    out = publishable({'state_dict': state(), 'optimizer': {'x': torch.ones(9)}}, 'a.pth', True)
    assert {k: v.dtype for k, v in out.items()} == {
        'conv.weight': torch.float16,
        'bn.running_var': torch.float32,
        'bn.num_batches_tracked': torch.int64,
    }
    assert out['bn.running_var'][0] == 1e6
    assert publishable(state(), 'a.pth')['conv.weight'].dtype == torch.float32


def test_errors():
    with pytest.raises(ValueError, match='a.pth: conv.weight holds 1e\\+05'):
        publishable(state(1e5), 'a.pth', half=True)
    with pytest.raises(ValueError, match='a.pth: no tensors found'):
        publishable({'state_dict': {}}, 'a.pth')


def test_shared_weights_are_written_twice():
    shared = torch.ones(2, 2)
    out = publishable({'state_dict': {'module.a': shared, 'module.b': shared.t()}}, 'a.pth')
    assert set(save(out)) and torch.equal(out['a'], out['b'])


@pytest.mark.parametrize(
    ('kind', 'tensor'),
    [
        ('meta', torch.empty(2, device='meta')),
        ('sparse', torch.eye(2).to_sparse()),
        ('sparse', torch.eye(2).to_sparse_csr()),
        ('quantized', torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)),
    ],
)
@pytest.mark.parametrize('half', [False, True])
def test_tensors_that_are_not_plain(kind, tensor, half):
    with pytest.raises(UserError, match=f'a.pth: w is a {kind} tensor, expected plain'):
        publishable({'state_dict': {'v': torch.ones(1), 'w': tensor}}, 'a.pth', half)


@pytest.mark.parametrize('state', [[torch.ones(1)], 7, {}])
def test_no_state_dict(state):
    with pytest.raises(UserError, match='a.pth: no tensors found'):
        publishable({'state_dict': state}, 'a.pth')


def test_classes_go_with_the_weights(tmp_path):
    """From the training into the header, and back under ``meta``, where the stack looks."""
    meta = dict(dataset_meta=dict(classes=('cat', 'dog'), palette=[(1, 2, 3), (4, 5, 6)]))
    header = describe_training(dict(meta=meta))
    path = tmp_path / 'a.safetensors'
    path.write_bytes(save(state(), metadata=header))
    found = load_from_local_plain(str(path))['meta']['dataset_meta']
    assert found == dict(classes=('cat', 'dog'), palette=([1, 2, 3], [4, 5, 6]))
    assert describe_training({}, read_header(path))['classes'] == header['classes']
    for classes in ('7', '[', '[' * 100_000, ''):
        path.write_bytes(save(state(), metadata=dict(classes=classes)))
        assert load_from_local_plain(str(path))['meta'] == {}


def test_tool(load_tool, tmp_path, capsys):
    """Written whole, loaded by the tools' loader, with a header."""
    torch.save({'meta': {'epoch': 3}, 'state_dict': state()}, tmp_path / 'epoch_3.pth')
    tool = load_tool('model_converters/publish_model')
    command = [str(tmp_path / 'epoch_3.pth')]
    out = tmp_path / 'small.safetensors'
    tool.main([*command, str(out), '--half'])
    assert '"epochs": "3"' in capsys.readouterr().out
    tool.main([*command, str(out), '--half', '--note', 'license=CC BY 4.0', 'metrics=AP50 = 0.5'])
    header = read_header(out)
    assert (header['license'], header['metrics']) == ('CC BY 4.0', 'AP50 = 0.5')
    assert torch.equal(load_plain(out)['conv.weight'].float(), state()['conv.weight'])
    with pytest.raises(SystemExit):
        tool.main([*command, str(out), '--note', 'x'])
    assert "--note: 'x', expected KEY=VALUE" in capsys.readouterr().err


def test_tool_answers_in_one_line(repo_root, tmp_path):
    tool = str(repo_root / 'tools/model_converters/publish_model.py')
    command = [sys.executable, tool, str(tmp_path / 'epoch_3.pth'), 'a.bin']
    wrong = subprocess.run(command, capture_output=True, text=True)
    assert wrong.returncode != 0 and 'Traceback' not in wrong.stderr
    assert 'a.bin: expected a name' in wrong.stderr.splitlines()[-1]
