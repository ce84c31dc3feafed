# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Outputs of exported files are called by what they are."""

import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from smallobj_mm.deployment.output_names import name_maps
from smallobj_mm.weights import shipped_weights


def maps(*sizes):
    return [torch.zeros(1, 1, size, size) for size in sizes]


class StockHead(nn.Module):
    bbox_coder = None

    def predict_by_feat(self, cls_scores, bbox_preds, score_factors=None, batch_img_metas=None):
        """Of mmdet's kind."""


def test_groups_of_a_stock_head():
    found = name_maps(StockHead(), [[0, 1], [2, 3]], maps(8, 4, 8, 4), 64)
    assert found == (
        'cls_scores_stride8', 'cls_scores_stride16', 'bbox_preds_stride8', 'bbox_preds_stride16',
    )  # fmt: skip


def test_own_heads_and_plain_segmentors():
    one, three = (SimpleNamespace(map_names=names) for names in (('a',), ('a', 'b', 'c')))
    assert name_maps(one, [0, 1], maps(8, 4), 64) == ('a_stride8', 'a_stride16')
    assert name_maps(one, [0], maps(8), 64) == ('a',)
    assert name_maps(three, [0, 1, 2], maps(8, 8, 8), 64) == ('a', 'b', 'c')
    assert name_maps(nn.Identity(), 0, maps(8), 64) == ('logits',)
    assert name_maps(None, [0, 1], maps(8, 8), 64) == ('logits_stride8_0', 'logits_stride8_1')


@pytest.mark.parametrize('task', ['det', 'seg'])
def test_in_the_file(exports, task):
    """What ONNX Runtime alone sees."""
    onnxruntime = pytest.importorskip('onnxruntime')
    session = onnxruntime.InferenceSession(exports(task, False).files['onnx'])
    assert [output.name for output in session.get_outputs()] == dict(
        det=['predictions_stride8', 'predictions_stride16', 'predictions_stride32'],
        seg=['interior_logits', 'boundary_logits', 'mask_logits'],
    )[task]


def test_the_page_with_onnxruntime_alone(repo_root, tmp_path, monkeypatch, capsys):
    """The program of docs/deployment.md finds what the inferencer finds."""
    for package in ('onnx', 'onnxruntime'):
        pytest.importorskip(package, reason='the extra deploy is not installed')
    try:
        shipped_weights('obsdm_t_hituav')
    except FileNotFoundError:
        pytest.skip('the weights of obsdm_t_hituav do not come with this package')
    from smallobj_mm.deployment.exporting import ExportOptions, export_model
    from smallobj_mm.inference import SmallObjectInferencer

    page = (repo_root / 'docs/deployment.md').read_text(encoding='utf-8')
    blocks = re.findall(r'^```python\n(.*?)^```', page, re.M | re.S)
    (program,) = (block for block in blocks if 'onnxruntime' in block)
    assert len(program.strip().splitlines()) <= 9 and 'smallobj_mm' not in program
    monkeypatch.chdir(tmp_path)
    options = ExportOptions(['onnx'], True, True, shape=(64, 96))
    export_model('obsdm_t_hituav', None, 'obsdm_t_hituav', options)
    image = sorted((repo_root / 'demo/hituav/JPEGImages').glob('*.jpg'))[0]
    shutil.copy(image, 'frame.jpg')
    scope: dict = {}
    exec(program, scope)
    assert capsys.readouterr().out.strip()
    (result,) = SmallObjectInferencer('obsdm_t_hituav', device='cpu')(image, tile=None)
    expected = result.sample.pred_instances
    sure = expected.scores >= 0.3
    np.testing.assert_allclose(scope['boxes'][0][scope['found']], expected.bboxes[sure], atol=0.05)
    assert scope['labels'][0][scope['found']].tolist() == expected.labels[sure].tolist()
