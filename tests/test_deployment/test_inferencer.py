# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``SmallObjectInferencer`` with an exported file as weights."""

import copy

import pytest
import torch
from deployment_toys import FORMATS, scene

from smallobj_mm.inference import SmallObjectInferencer


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('tile', [None, 96])
def test_detector(systems, exports, kind, tile):
    """Whole images and tiles: the boxes of the checkpoint."""
    system, path = systems['det'], exports('det', False).files[kind]
    images = [scene(80, 140, 3), scene(120, 100, 4)]
    of_file = SmallObjectInferencer(system.cfg, path)
    of_weights = SmallObjectInferencer(system.cfg, system.weights)
    assert of_file.classes == of_weights.classes
    results = [run(images, batch_size=2, tile=tile) for run in (of_file, of_weights)]
    for found, expected in zip(*results):
        found, expected = found.pred_instances, expected.pred_instances
        assert len(found.scores) == len(expected.scores) > 5
        torch.testing.assert_close(found.bboxes, expected.bboxes, atol=1e-2, rtol=0)
        torch.testing.assert_close(found.scores, expected.scores, atol=1e-3, rtol=0)
        assert torch.equal(found.labels, expected.labels)


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('tile', [None, 64])
def test_segmentor(systems, exports, kind, tile):
    system, path = systems['seg'], exports('seg', False).files[kind]
    images = [scene(70, 90, 3), scene(50, 101, 4)]
    results = [
        SmallObjectInferencer(system.cfg, weights)(images, tile=tile)
        for weights in (path, system.weights)
    ]
    for found, expected in zip(*results):
        assert found.seg_logits.data.max() - found.seg_logits.data.min() > 0.01
        torch.testing.assert_close(
            found.seg_logits.data, expected.seg_logits.data, atol=1e-3, rtol=0
        )
        assert found.img_shape == expected.img_shape


def test_refused(systems, exports):
    """A file of another model, a complete one, half precision."""
    det, seg = systems['det'], systems['seg']
    onnx = {task: exports(task, False).files['onnx'] for task in ('det', 'seg')}
    with pytest.raises(ValueError, match='det.onnx: exported from obsdm_r18_demo, whose'):
        SmallObjectInferencer(seg.cfg, onnx['det'])
    other = copy.deepcopy(det.cfg)
    other.model.bbox_head.prior_generator.base_sizes[0][0] = (7, 8)
    with pytest.raises(ValueError, match='whose prior_generator is not that of the config'):
        SmallObjectInferencer(other, onnx['det'])
    other = copy.deepcopy(det.cfg)
    other.model.data_preprocessor.mean = [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match='exported with mean=.*, the data_preprocessor of the'):
        SmallObjectInferencer(other, onnx['det'])
    with pytest.raises(ValueError, match='exported with --with-preprocess and --with-postprocess'):
        SmallObjectInferencer(det.cfg, exports('det', True).files['onnx'])
    with pytest.raises(ValueError, match='half precision is for checkpoints'):
        SmallObjectInferencer(det.cfg, onnx['det'], half=True)


@pytest.mark.parametrize('kind', ['onnx', 'openvino'])
def test_without_a_device_a_file_runs_where_its_runtime_can(systems, exports, kind, monkeypatch):
    """A machine with CUDA, and runtimes without: the default is the CPU, cuda by name an error."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    path, cfg = exports('seg', False).files[kind], systems['seg'].cfg
    if kind == 'onnx':
        ort = pytest.importorskip('onnxruntime')
        monkeypatch.setattr(ort, 'get_available_providers', lambda: ['CPUExecutionProvider'])
    inferencer = SmallObjectInferencer(cfg, path)
    assert inferencer.model.decode_head.raw_maps.backend.device.type == 'cpu'
    with pytest.raises(ValueError, match='device cuda: O'):
        SmallObjectInferencer(cfg, path, device='cuda')


def test_onnx_runtime_with_cuda_is_asked_for_it(monkeypatch):
    from smallobj_mm.inference.inferencer import default_device

    ort = pytest.importorskip('onnxruntime')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(ort, 'get_available_providers', lambda: ['CUDAExecutionProvider'])
    names = ('a.onnx', 'a.xml', 'a.torchscript', 'a.pth')
    assert [default_device(name) for name in names] == ['cuda', 'cpu', 'cuda', 'cuda']
