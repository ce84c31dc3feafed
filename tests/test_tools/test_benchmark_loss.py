# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""benchmark_loss.py: crowded images, the loss alone and its errors, at toy sizes."""

import pytest
import torch

from smallobj_mm.utils.errors import UserError

pytest.importorskip('mmdet')


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('analysis_tools/benchmark_loss')


def test_crowd_lies_in_its_images(tool):
    samples = tool.crowd(40, 3, 2, (64, 96), 'cpu')
    assert len(samples) == 2
    for sample in samples:
        boxes, labels = sample.gt_instances.bboxes, sample.gt_instances.labels
        assert boxes.shape == (40, 4) and (boxes[:, 2:] > boxes[:, :2]).all()
        assert (boxes >= 0).all() and (boxes[:, 2:] <= torch.tensor([96, 64])).all()
        assert set(labels.tolist()) == {0, 1, 2}
    again = tool.crowd(40, 3, 2, (64, 96), 'cpu')
    assert torch.equal(samples[1].gt_instances.bboxes, again[1].gt_instances.bboxes)


def test_table(tool, repo_root, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(
        'smallobj_mm.benchmark.timing.seconds',
        lambda call, device: (call(), seen.append(call), len(seen))[-1],
    )
    config = str(repo_root / 'configs/obsdm/obsdm_r18_hituav.py')
    sizes = ['--shape', '64', '64', '--batch-size', '2', '--rounds', '1', '--threads', '1']
    tool.main([config, *sizes, '--targets', '1', '9'])
    whole, alone = (line.split() for line in capsys.readouterr().out.splitlines()[-2:])
    # Few, many, few, many: the time of each step is its number.
    assert whole == ['whole', 'model', '3000.0', '4000.0', '1.33']
    assert alone == ['loss', 'alone', '7000.0', '8000.0', '1.14']
    assert len(seen) == 8


def test_loss_alone_takes_given_maps(tool):
    seen = []

    class Head(torch.nn.Module):
        def forward(self, x):
            return (x[0] * 2, [x[0] * 3])

        def loss_by_feat(self, first, others, truth, metas, ignored):
            seen.append((first, truth, metas, ignored))
            return dict(loss_a=[first.sum(), others[0].sum()], loss_b=first.mean(), acc=1)

    model = torch.nn.Module()
    model.bbox_head, model.extract_feat = Head(), lambda images: [images]
    step = tool.loss_step(model, torch.ones(1, 3, 4, 4))
    samples = tool.crowd(2, 3, 1, (64, 64), 'cpu')
    step(samples)
    step(samples)
    (first, truth, metas, ignored), again = seen
    assert again[0] is first and first.grad is None and (first == 2).all()
    assert torch.equal(truth[0].bboxes, samples[0].gt_instances.bboxes)
    assert metas[0]['img_shape'] == (64, 64) and ignored == [None]


def test_a_segmentor_is_refused(tool, repo_root):
    pytest.importorskip('mmseg')
    config = str(repo_root / 'configs/ismallnet/ismallnet_s_nuaa.py')
    with pytest.raises(UserError, match='EncoderDecoder, expected a single-stage'):
        tool.main([config])
