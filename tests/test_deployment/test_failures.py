# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What is wrong is one line, and no file appears."""

import copy
import dataclasses
import importlib
import random
import shutil

import pytest
import torch

from smallobj_mm.deployment import ExportInfo, load_backend
from smallobj_mm.deployment.backends import require
from smallobj_mm.deployment.checksum import seal
from smallobj_mm.deployment.exporting import ExportOptions, _base, _staged, export_model
from smallobj_mm.deployment.metadata import flatten, unflatten
from smallobj_mm.utils.errors import UserError


def test_a_file_that_differs_does_not_appear(systems, tmp_path, monkeypatch):
    """What was there before is still there."""
    from smallobj_mm.deployment import formats

    endings, write = formats.FORMATS['torchscript']

    def wrong(network, example, info, path):
        head = network.model.decode_head.head_module.interior_logit
        head.bias.add_(0.01)
        write(network, example, info, path)
        head.bias.sub_(0.01)

    monkeypatch.setitem(formats.FORMATS, 'torchscript', (endings, wrong))
    (tmp_path / 'model.torchscript').write_text('before')
    system, options = systems['seg'], ExportOptions(['torchscript'], shape=(32, 48))
    with pytest.raises(ValueError, match='interior_logits differs from PyTorch by 1.00e-02'):
        export_model(copy.deepcopy(system.cfg), system.weights, tmp_path / 'model', options)
    assert [path.name for path in tmp_path.iterdir()] == ['model.torchscript']
    assert (tmp_path / 'model.torchscript').read_text() == 'before'


def test_two_files_appear_together(tmp_path):
    """An interrupted replacement leaves no old description beside new weights."""
    base = tmp_path / 'a.b'
    for ending in ('.xml', '.bin'):
        (tmp_path / f'a.b{ending}').write_text('old')
    with pytest.raises(FileNotFoundError):
        with _staged(base, ('.xml', '.bin')) as staged:
            staged.write_text('new')  # and no .bin
    assert {path.read_text() for path in tmp_path.iterdir()} == {'old'}
    with _staged(base, ('.xml', '.bin')) as staged:
        assert staged.parent != tmp_path and staged.name == 'a.b.xml'
        for ending in ('.xml', '.bin'):
            staged.with_suffix(ending).write_text('new')
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        'a.b.xml': 'new',
        'a.b.bin': 'new',
    }


def test_names(tmp_path):
    assert _base(None, 'name', ['onnx']).name == 'name'
    assert _base('x/v1.2', 'name', ['onnx', 'openvino']).name == 'v1.2'
    assert _base('x/model.onnx', 'name', ['onnx']).name == 'model'
    with pytest.raises(ValueError, match='its ending is that of onnx, expected openvino'):
        _base('x/model.onnx', 'name', ['openvino'])
    with pytest.raises(ValueError, match='format: found tensorrt, expected of onnx'):
        ExportOptions(['tensorrt'])
    with pytest.raises(ValueError, match='shape is'):
        ExportOptions(shape=(64, 0))


def test_backend_refuses(exports, tmp_path):
    files = exports('det', False).files
    with pytest.raises(FileNotFoundError, match='no such file'):
        load_backend(tmp_path / 'a.onnx')
    with pytest.raises(ValueError, match='unknown ending, expected .onnx'):
        load_backend(tmp_path / 'a.pt')
    for ending in ('onnx', 'torchscript', 'xml'):
        (tmp_path / f'bad.{ending}').write_bytes(b'no model')
        (tmp_path / 'bad.bin').write_bytes(b'')
        with pytest.raises(ValueError, match='does not end in the checksum.*; copy it again'):
            load_backend(tmp_path / f'bad.{ending}')
    (tmp_path / 'alone.xml').write_bytes(files['openvino'].read_bytes())
    with pytest.raises(FileNotFoundError, match='expected the weights that belong to alone.xml'):
        load_backend(tmp_path / 'alone.xml')
    with pytest.raises(ValueError, match='threads is 0'):
        load_backend(files['onnx'], threads=0)
    with pytest.raises(ValueError, match="precision is 'bf16', expected f32"):
        load_backend(files['onnx'], precision='bf16')
    with pytest.raises(ValueError, match='OpenVINO runs on cpu'):
        load_backend(files['openvino'], device='cuda')
    backend = load_backend(files['onnx'])
    for images, message in (
        (torch.zeros(3, 64, 64), r'shape \(3, 64, 64\), expected \(N, 3, H, W\)'),
        (torch.zeros(1, 3, 64, 65), '64 x 65 px, expected multiples of 32'),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), 'torch.uint8, expected float'),
    ):
        with pytest.raises(ValueError, match=message):
            backend(images)


@pytest.mark.parametrize('kind', ['onnx', 'openvino', 'torchscript'])
def test_a_changed_byte_is_one_line(kind, exports, tmp_path):
    """Anywhere in the file, in its checksum, and in the weights beside it; also one too few."""
    source = exports('seg', False).files[kind]
    copies = [source] + ([source.with_suffix('.bin')] if kind == 'openvino' else [])
    for file in copies:
        shutil.copy(file, tmp_path)
    path, rng = tmp_path / source.name, random.Random(0)
    load_backend(path)
    for file in copies:
        data = file.read_bytes()
        changes = [data[:-1], data + b' ', b'']
        for place in [0, len(data) - 1, *(rng.randrange(len(data)) for _ in range(100))]:
            changes.append(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        for change in changes:
            (tmp_path / file.name).write_bytes(change)
            with pytest.raises(UserError) as caught:
                load_backend(path)
            message = str(caught.value)
            assert message.startswith(f'{path}: damaged') and '\n' not in message
        (tmp_path / file.name).write_bytes(data)
    load_backend(path)


@pytest.mark.parametrize('kind', ['onnx', 'torchscript'])
def test_whole_files_that_do_not_run(kind, tmp_path):
    """They are not called damaged: they are what was exported."""
    path = tmp_path / f'a.{kind}'
    path.write_bytes(b'no model' if kind == 'onnx' else b'PK\x05\x06' + bytes(18))
    seal(path)
    with pytest.raises(UserError, match=f'{path}: (onnxruntime|torch) [0-9.+a-z]+ cannot run it'):
        load_backend(path)


def test_a_foreign_file(tmp_path):
    traced = torch.jit.trace(torch.nn.Identity(), torch.zeros(1))
    traced.save(str(tmp_path / 'foreign.torchscript'))
    with pytest.raises(
        UserError, match='foreign.torchscript: .*not written by tools/deployment/export.py'
    ):
        load_backend(tmp_path / 'foreign.torchscript')
    seal(tmp_path / 'foreign.torchscript')
    with pytest.raises(ValueError, match="no description 'smallobj_mm' in it"):
        load_backend(tmp_path / 'foreign.torchscript')


def test_description(exports):
    info = exports('seg', False).info
    assert ExportInfo.from_json(info.to_json(), 'x') == info
    later = dataclasses.replace(info, format_version=2).to_json()
    with pytest.raises(ValueError, match='x: its description has version 2'):
        ExportInfo.from_json(later, 'x')
    with pytest.raises(ValueError, match='is damaged'):
        ExportInfo.from_json('{"format_version": 1}', 'x')
    tensors, structure = flatten(((torch.zeros(1), [torch.ones(1)]), torch.ones(2)))
    assert structure == [[0, [1]], 2]
    assert flatten(unflatten(tuple(tensors), structure)) == (tensors, structure)


def test_missing_package(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, 'import_module', missing)
    with pytest.raises(
        ImportError, match=r'needs the package onnx, .*pip install -e "\.\[deploy\]"'
    ):
        require('onnx', 'model.onnx')
