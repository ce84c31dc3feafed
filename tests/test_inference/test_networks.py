# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The networks of the shipped configs, untrained and made small: as without this package's help."""

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS, DefaultScope

from smallobj_mm.inference import SmallObjectInferencer

SMALL = {
    'ismallnet/ismallnet_demo': {
        'model.backbone.channels': [4, 4, 8, 8],
        'model.neck.in_channels': [4, 4, 8, 8],
        'model.decode_head.head_module.in_channels': [4, 4, 8, 8],
        'model.decode_head.prior_prob': 0.4,
    },
    'obsdm/obsdm_r18_demo': {'model.test_cfg.score_thr': 0.0, 'model.test_cfg.max_per_img': 50},
}


def randomized(model):
    """Batch statistics that folding has something to do with."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize('name', SMALL)
@torch.no_grad()
def test_deployed_as_built(repo_root, toys, tmp_path, name):
    """The inferencer's folded, channels-last network gives what the model gives."""
    cfg = Config.fromfile(repo_root / 'configs' / f'{name}.py')
    cfg.merge_from_dict(SMALL[name])
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = randomized(MODELS.build(cfg.model))
    torch.save(model.state_dict(), tmp_path / 'random.pth')
    image = toys.scene(90, 110, [(20, 30, 26, 37), (70, 60, 90, 75)])
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    inferencer = SmallObjectInferencer(cfg, tmp_path / 'random.pth')
    folded = sum(isinstance(m, torch.nn.BatchNorm2d) for m in inferencer.model.modules())
    assert folded < sum(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    (sample,) = inferencer(tmp_path / 'image.png')
    item = inferencer.preparer.prepare(image, 'image.png')
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        data = model.data_preprocessor(pseudo_collate([item]), False)
        (expected,) = model(data['inputs'], data['data_samples'], mode='predict')
    if inferencer.task == 'segmentation':
        probability = expected.seg_logits.data
        assert probability.max() - probability.min() > 0.01
        torch.testing.assert_close(sample.seg_logits.data, probability, atol=1e-4, rtol=0)
    else:
        assert len(expected.pred_instances.scores) == 50
        bboxes = expected.pred_instances.bboxes
        sized = (bboxes[:, 2:] > bboxes[:, :2]).all(dim=1)
        expected.pred_instances = expected.pred_instances[sized]  # what cannot be drawn is left out
        scores = expected.pred_instances.scores
        assert len(scores) > 10
        torch.testing.assert_close(sample.pred_instances.scores, scores, atol=1e-4, rtol=1e-3)
        best = [s.pred_instances.bboxes[:5] for s in (sample, expected)]
        torch.testing.assert_close(*best, atol=0.1, rtol=1e-3)
