# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Files in 8-bit integers."""

import copy
import dataclasses

import pytest
import torch
from deployment_toys import scene
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.deployment import load_backend
from smallobj_mm.deployment.accuracy import accuracy_table, evaluate
from smallobj_mm.deployment.calibration import CalibrationImages
from smallobj_mm.deployment.checking import check_quantized
from smallobj_mm.deployment.exported_model import build_exported
from smallobj_mm.deployment.exporting import ExportOptions, export_model
from smallobj_mm.deployment.network import ExportedNetwork
from smallobj_mm.deployment.quantization import outside_of_convolutions
from smallobj_mm.inference import SmallObjectInferencer
from smallobj_mm.models.building import build_network

onnx = pytest.importorskip('onnx', reason='the extra deploy is not installed')
pytest.importorskip('onnxruntime', reason='the extra deploy is not installed')
pytest.importorskip('openvino', reason='the extra deploy is not installed')

KINDS = ['onnx', 'openvino']
SIDE = dict(det=160, seg=96)  # px; the shapes need four times their size


@pytest.fixture(scope='module')
def with_data(systems, tmp_path_factory):
    """Config of a tiny model with 12 synthetic images, and its weights."""

    def make(task):
        folder = tmp_path_factory.getbasetemp() / f'int8_{task}'
        cfg = copy.deepcopy(systems[task].cfg)
        for loader in (cfg.train_dataloader, cfg.test_dataloader):
            dataset = loader.dataset
            while 'dataset' in dataset:
                dataset = dataset.dataset
            dataset.update(data_root=str(folder), num_images=12, image_size=SIDE[task])
        return cfg, systems[task].weights

    return make


@pytest.fixture(scope='module')
def quantized(with_data, tmp_path_factory):
    """(task, complete) -> what was exported, and the lines that it reported."""
    made = {}

    def export(task, complete=False):
        if (task, complete) not in made:
            (cfg, weights), lines = with_data(task), []
            options = ExportOptions(
                KINDS, complete, complete, shape=(64, 96), int8=True, calibration_images=6
            )
            out = tmp_path_factory.mktemp('int8') / 'm'
            exported = export_model(copy.deepcopy(cfg), weights, out, options, lines.append)
            made[task, complete] = exported, lines
        return made[task, complete]

    return export


# ---- what stays in floating point


def test_only_what_lies_between_convolutions_is_quantized():
    """normalize -> conv1 -> relu -> conv2 -> sigmoid, and a branch from relu to a last conv3."""
    inputs = {
        'normalize': [],
        'conv1': ['normalize'],
        'relu': ['conv1'],
        'conv2': ['relu'],
        'sigmoid': ['conv2'],
        'conv3': ['relu'],
        'shape': [],
        'decode': ['sigmoid', 'conv3', 'shape'],
    }
    kept = outside_of_convolutions(inputs, ['conv1', 'conv2', 'conv3'])
    assert kept == {'normalize', 'conv2', 'sigmoid', 'conv3', 'shape', 'decode'}
    assert outside_of_convolutions({'a': [], 'b': ['a']}, []) == {'a', 'b'}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_paths_decide(data):
    """By walking all paths of random graphs."""
    number = data.draw(st.integers(1, 8))
    edges = [data.draw(st.sets(st.integers(0, n - 1))) if n else set() for n in range(number)]
    kinds = data.draw(st.sets(st.integers(0, number - 1)))
    inputs = {str(n): [str(m) for m in sorted(edges[n])] for n in range(number)}

    def reaches(start, step):
        seen, todo = set(), [start]
        while todo:
            for node in step(todo.pop()):
                if node not in seen:
                    seen.add(node)
                    todo.append(node)
        return bool(seen & kinds)

    expected = set()
    for n in range(number):
        before = n in kinds or reaches(n, lambda m: edges[m])
        behind = reaches(n, lambda m: [k for k in range(number) if m in edges[k]])
        if not (before and behind):
            expected.add(str(n))
    assert outside_of_convolutions(inputs, map(str, kinds)) == expected


# ---- images


def test_training_images_as_they_are_tested(with_data):
    cfg, weights = with_data('det')
    model, _ = build_network(copy.deepcopy(cfg), weights, 'cpu')
    network = ExportedNetwork(model, 'mmdet')
    images = CalibrationImages(cfg, network, 4)
    assert len(images) == 4 and len(list(images)) == 4 and len(images[1:3]) == 2
    training = len(images.datasets[0])
    assert images.indices[0] == 0 and images.indices[-1] == training - 1
    assert torch.equal(images[0], images[0])  # no augmentation
    assert images[0].dtype == torch.float32 and images[0].shape == (1, 3, 256, 256)
    raw = CalibrationImages(cfg, ExportedNetwork(model, 'mmdet', with_preprocess=True), 4)
    assert raw[0].dtype == torch.uint8
    torch.testing.assert_close(network.preparation(raw[0]), images[0])
    assert str(images) == '4 training images of SyntheticSmallObjectDataset'
    others = images.between(3)
    assert len(others) == 3
    assert not any(torch.equal(other, image) for other in others for image in images)
    everything = CalibrationImages(cfg, network, 1000)
    assert len(everything) == training and len(everything.between(2)) == 2
    twice = copy.deepcopy(cfg)
    twice.train_dataloader.dataset = dict(
        type='ConcatDataset', datasets=[cfg.train_dataloader.dataset] * 2
    )
    assert len(CalibrationImages(twice, network, 1000)) == 2 * training
    twice.train_dataloader = None
    with pytest.raises(ValueError, match='int8: the config has no train_dataloader.dataset'):
        CalibrationImages(twice, network, 3)


# ---- files


@pytest.mark.parametrize('task', ['det', 'seg'])
@pytest.mark.parametrize('kind', KINDS)
def test_file_agrees_and_serves_as_weights(with_data, quantized, kind, task):
    (cfg, _), (exported, lines) = with_data(task), quantized(task)
    path, plain = exported.int8_files[kind], exported.files[kind]
    assert path.name == plain.name.replace('m.', 'm_int8.')
    assert 0.8 <= exported.agreements[kind] < 1  # it is not the same file
    assert len(lines) == 4 and any(line.startswith(f'{path}: agrees with') for line in lines)
    assert {p.name.split('.')[0] for p in path.parent.iterdir()} == {'m', 'm_int8'}
    info = load_backend(path).info
    assert info.quantization['tool'] == 'onnxruntime'
    assert info.quantization['images'].startswith('6 training images of Synthetic')
    assert load_backend(plain).info.quantization is None
    if kind == 'openvino':
        sizes = [p.with_suffix('.bin').stat().st_size for p in (path, plain)]
        assert sizes[0] < 0.6 * sizes[1]
    results = [SmallObjectInferencer(cfg, file)([scene(80, 140, 3)])[0] for file in (path, plain)]
    if task == 'det':
        assert all(len(result.pred_instances) > 5 for result in results)
    else:
        found, expected = (result.seg_logits.data for result in results)
        assert 0 < (found - expected).abs().mean() < 0.5 * expected.std()


def test_last_convolutions_are_in_floating_point(quantized):
    graph = onnx.load(quantized('det')[0].int8_files['onnx']).graph
    maker = {output: node for node in graph.node for output in node.output}
    last = [maker[output.name] for output in graph.output]
    assert [node.op_type for node in last] == ['Conv'] * 3
    integers = [
        node
        for node in graph.node
        if node.op_type == 'Conv' and maker.get(node.input[1], node).op_type == 'DequantizeLinear'
    ]
    assert len(integers) > 20 and not any(node in integers for node in last)


def test_complete_file(quantized, monkeypatch):
    """With pre- and post-processing: uint8 images of any size to boxes."""
    # Of a network with random weights more detections turn over than of one that has learnt.
    monkeypatch.setattr('smallobj_mm.deployment.checking.AGREEMENT', 0.3)
    exported, _ = quantized('det', complete=True)
    for kind in KINDS:
        assert 0.3 <= exported.agreements[kind] <= 1
        backend = load_backend(exported.int8_files[kind])
        boxes, scores, labels = backend(torch.from_numpy(scene(70, 101)).permute(2, 0, 1)[None])
        assert boxes.shape == (1, 60, 4) and (scores[labels >= 0] > 0.3).all()


# ---- checks


def test_a_file_of_another_network_is_refused(exports):
    """INT8 is not compared digit by digit, but a wrong file does not pass."""
    exported = exports('seg', False)
    backend = load_backend(exported.files['torchscript'])
    images = [torch.rand(1, 3, 64, 64) for _ in range(2)]
    assert check_quantized(backend, exported.network, [(1, 64, 64)], images) > 0.999
    other = copy.deepcopy(exported.network)
    for parameter in other.parameters():
        parameter.mul_(0.5)
    with pytest.raises(ValueError, match='agrees with PyTorch by .* expected 0.8 at least'):
        check_quantized(backend, other, [(1, 64, 64)], images)

    def broken(inputs):
        return tuple(one * float('nan') for one in backend(inputs))

    broken.path, broken.info = backend.path, backend.info
    with pytest.raises(ValueError, match='not finite'):
        check_quantized(broken, exported.network, [(1, 64, 64)], images)


def test_detections_elsewhere_are_refused(exports):
    exported = exports('det', True)
    backend = load_backend(exported.files['torchscript'])
    images = [torch.from_numpy(scene(90, 120, s)).permute(2, 0, 1)[None] for s in range(3)]
    assert check_quantized(backend, exported.network, [(1, 64, 96)], images) == 1

    def shifted(inputs):
        boxes, *others = backend(inputs)
        return boxes + 50, *others

    shifted.path, shifted.info = backend.path, backend.info
    with pytest.raises(ValueError, match='agrees with PyTorch by 0'):
        check_quantized(shifted, exported.network, [(1, 64, 96)], images)


def test_options():
    with pytest.raises(ValueError, match='int8: found the format torchscript, expected of onnx'):
        ExportOptions(['torchscript'], int8=True)
    with pytest.raises(ValueError, match='calibration_images is 0'):
        ExportOptions(['onnx'], int8=True, calibration_images=0)


# ---- metrics before and after


def test_metrics_of_a_file(with_data, quantized):
    """An exact file has the metrics of PyTorch; the INT8 file has as many."""
    cfg, _ = with_data('seg')
    exported, _ = quantized('seg')
    models = [
        build_exported(copy.deepcopy(cfg), files['onnx'], 'cpu')[0]
        for files in (exported.files, exported.int8_files)
    ]
    first, second, third = evaluate(cfg, [exported.network.model, *models])
    assert first == pytest.approx(second, rel=1e-3, nan_ok=True)
    assert first.keys() == third.keys()
    assert any('IoU' in line for line in accuracy_table(dict(a=first, b=third)).splitlines())
    cfg.test_evaluator = None
    with pytest.raises(ValueError, match='no test_evaluator'):
        evaluate(cfg, [exported.network.model])


def test_table():
    table = accuracy_table(
        {'pytorch': {'coco/AP50': 0.5, 'coco/other': 1}, 'int8': {'coco/AP50': 0.4951}}
    )
    lines = table.splitlines()
    assert len(lines) == 2 and lines[1].split() == ['coco/AP50', '50.00', '49.51', '(-0.49)']


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('deployment/export')


def test_tool(with_data, tool, tmp_path, capsys):
    cfg, weights = with_data('seg')
    config = tmp_path / 'toy.py'
    cfg.dump(str(config))
    tool.main(
        [str(config), str(weights), '--out', str(tmp_path / 'm'), '--shape', '64', '--rounds', '2']
        + ['--threads', '1', '--int8', '--calibration-images', '5']
    )
    lines = capsys.readouterr().out.splitlines()
    start = next(n for n, line in enumerate(lines) if 'agrees with PyTorch by' in line)
    assert any('IoU' in line and '(' in line for line in lines[start + 1 :])
    rows = [line[:18].strip() for line in lines[-4:]]
    assert rows == ['pytorch', 'not deployed', 'onnxruntime', 'onnxruntime int8']


def test_metrics_that_cannot_be_measured(with_data, quantized, tool):
    """A complete file; test data that are not there."""
    cfg, _ = with_data('seg')
    exported, _ = quantized('seg')
    cfg.test_dataloader.dataset = dict(
        type='IRSTDDataset', data_root='nowhere', pipeline=cfg.test_dataloader.dataset.pipeline
    )
    assert 'not measured, the test data are not there (' in tool.compare_metrics(exported, cfg)
    info = dataclasses.replace(exported.info, preprocess=True)
    complete = dataclasses.replace(exported, info=info)
    assert 'not measured for files with pre- or post-' in tool.compare_metrics(complete, cfg)
