# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Test-time augmentation and half precision of the inferencer, and their options of the tool."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from smallobj_mm.inference import SmallObjectInferencer, find_targets
from smallobj_mm.models.utils import half
from smallobj_mm.models.utils.half import use_half
from smallobj_mm.utils.configs import read_config

BOXES = [(10, 12, 16, 18), (84, 50, 92, 58), (96, 96, 104, 104)]
TURNED = [dict(type='FlipTurn', direction=d, turns=t) for d, t in ((None, 0), ('vertical', 1))]


def boxes_of(sample):
    return sorted(tuple(map(int, box)) for box in find_targets(sample).bboxes.round())


@pytest.mark.parametrize('kind', ['det', 'seg'])
def test_views_of_an_equivariant_model_change_nothing(toys, models, kind):
    """Images of different sizes, in batches of tiles."""
    images = [toys.scene(*size, BOXES) for size in ((110, 130), (110, 130), (150, 120))]
    plain, augmented = (
        SmallObjectInferencer(models / f'{kind}.py', models / f'{kind}.pth', tta=tta)
        for tta in (False, True)
    )
    for tile in (None, 64):
        for batch_size in (1, 3):
            one, other = (i(images, batch_size, tile) for i in (plain, augmented))
            for a, b in zip(one, other):
                assert boxes_of(a) == boxes_of(b) == BOXES and a.ori_shape == b.ori_shape
                if kind == 'seg':
                    torch.testing.assert_close(a.seg_logits.data, b.seg_logits.data)


def test_every_view_is_looked_at(toys, models):
    """A detector that sees only the left half finds both halves' objects in the mirror too."""
    inferencer = SmallObjectInferencer(models / 'det.py', models / 'det.pth', tta=True)
    predict = inferencer.model.predict

    def left_half(inputs, samples, rescale=True):
        inputs = inputs.clone()
        inputs[..., inputs.shape[-1] // 2 :] = 0
        return predict(inputs, samples, rescale)

    inferencer.model.predict = left_half
    assert boxes_of(inferencer(toys.scene(128, 128, BOXES))[0]) == BOXES


def test_turned_views_of_the_config(toys, models):
    cfg = toys.segmentation_config()
    load, truth, pack = cfg['test_dataloader']['dataset']['pipeline']
    pack = dict(pack, meta_keys=('img_path', 'ori_shape', 'img_shape', 'tta_view'))
    views = dict(type='TestTimeAug', transforms=[TURNED, [pack]])
    cfg.update(tta_model=dict(type='ProbabilityTTAModel'), tta_pipeline=[load, truth, views])
    image = toys.scene(110, 130, BOXES)
    one, other = (
        SmallObjectInferencer(Config(cfg), models / 'seg.pth', tta=tta)([image, image], 2)[0]
        for tta in (False, True)
    )
    torch.testing.assert_close(one.seg_logits.data, other.seg_logits.data)
    assert other.ori_shape == (110, 130)


@pytest.fixture
def any_cpu(monkeypatch):
    """Half precision where the CPU does not compute in bfloat16, too; slow there, but right."""
    monkeypatch.setattr(half, 'cpu_computes_bfloat16', lambda: True)


def test_half_precision(toys, models, any_cpu):
    image = toys.scene(110, 130, BOXES)
    one, other = (
        SmallObjectInferencer(models / 'seg.py', models / 'seg.pth', half=bfloat16)(image)[0]
        for bfloat16 in (False, True)
    )
    difference = (one.seg_logits.data - other.seg_logits.data).abs().max()
    assert 0 < difference < 0.02
    assert other.seg_logits.data.dtype == torch.float32
    assert boxes_of(other) == BOXES


def test_half_precision_of_a_network(repo_root, toys, tmp_path, any_cpu):
    """The detector's boxes are decoded in full precision."""
    from mmengine.registry import MODELS, DefaultScope

    cfg = read_config(repo_root / 'configs' / 'obsdm' / 'obsdm_r18_demo.py')
    cfg.merge_from_dict({'model.test_cfg.score_thr': 0.0, 'model.test_cfg.max_per_img': 20})
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.save(MODELS.build(cfg.model).state_dict(), tmp_path / 'random.pth')
    raw = []
    inferencer = SmallObjectInferencer(cfg, tmp_path / 'random.pth')
    decode = inferencer.model.bbox_head.decode_maps
    inferencer.model.bbox_head.decode_maps = lambda maps: raw.append(maps) or decode(maps)
    image = toys.scene(96, 128, BOXES)
    for _ in range(2):
        (sample,) = inferencer(image)
        assert sample.pred_instances.bboxes.dtype == torch.float32
        assert len(sample.pred_instances.scores)
        use_half(inferencer.model)
    for one, other in zip(*raw):
        assert other.dtype == torch.float32
        assert not torch.equal(one, other)
        np.testing.assert_allclose(one, other, atol=0.05 * float(one.abs().max()))
