# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The inference interfaces of mmdet and mmseg, and SAHI on top of mmdet's, take our models."""

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

from smallobj_mm.inference import SmallObjectInferencer, find_targets
from smallobj_mm.models.building import stock_config
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import UserError
from smallobj_mm.weights import shipped_weights

CONFIG = 'obsdm_r18_hituav_320'
CLASSES = ('Person', 'Car', 'Bicycle', 'OtherVehicle')


@pytest.fixture(scope='module')
def image():
    rng = np.random.default_rng(0)
    image = rng.integers(40, 60, (256, 320, 3), dtype=np.uint8)
    image[100:108, 60:70] = image[30:34, 200:204] = 250
    return image


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """A detector whose scores are not all alike, as a checkpoint of a training."""
    pytest.importorskip('mmdet')
    torch.manual_seed(0)
    cfg = read_config(CONFIG)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    for conv in model.bbox_head.head_module.branch:
        torch.nn.init.normal_(conv[-1].conv.weight, std=0.05)
        torch.nn.init.zeros_(conv[-1].conv.bias)
    path = tmp_path_factory.mktemp('weights') / 'epoch_1.pth'
    meta = dict(dataset_meta=dict(classes=CLASSES))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return str(path)


def test_det_inferencer(image, weights):
    """The same boxes as ours, from an array and from a config of mmdet's interface."""
    from mmdet.apis import DetInferencer

    inferencer = DetInferencer(stock_config(CONFIG), weights, device='cpu')
    (found,) = inferencer(image, no_save_vis=True)['predictions']
    ours = find_targets(SmallObjectInferencer(CONFIG, weights)(image)[0])
    assert len(found['scores']) == len(ours.scores) > 0
    # Scores of an untrained model that differ by rounding alone decide the order, which of two
    # boxes suppresses the other, and which is the last that fits: nearly all have a partner,
    # anywhere.
    stock = np.column_stack([found['bboxes'], found['scores'], found['labels']])
    boxes = np.column_stack([ours.bboxes, ours.scores, ours.labels])
    partners = (np.abs(stock[:, None] - boxes) < [1e-2, 1e-2, 1e-2, 1e-2, 1e-4, 0.5]).all(axis=2)
    assert partners.any(axis=1).mean() > 0.95 < partners.any(axis=0).mean()
    assert inferencer.model.dataset_meta['classes'] == CLASSES


def test_sahi(image, weights):
    models = pytest.importorskip('sahi.models.mmdet', reason='sahi is not installed')
    from sahi.predict import get_sliced_prediction

    model = models.MmdetDetectionModel(
        config_path=stock_config(CONFIG), model_path=weights, device='cpu', confidence_threshold=0
    )
    result = get_sliced_prediction(image, model, 128, 128, verbose=0)
    assert result.object_prediction_list
    assert {found.category.name for found in result.object_prediction_list} <= set(CLASSES)


def test_init_model_of_mmseg(image):
    """Shipped weights, with the names of their classes."""
    pytest.importorskip('mmseg')
    from mmengine.config import Config
    from mmseg.apis import inference_model, init_model

    from smallobj_mm.utils.configs import find_config

    path = shipped_weights('ismallnet_s_nuaa')
    cfg = Config.fromfile(find_config('ismallnet_s_nuaa'))
    model = init_model(cfg, str(path), device='cpu')
    assert model.dataset_meta['classes'] == ('background', 'target')
    assert tuple(inference_model(model, image).pred_sem_seg.data.shape) == (1, 256, 320)


def test_other_configs_are_refused():
    pytest.importorskip('mmseg')
    with pytest.raises(UserError, match="default_scope 'mmseg', expected a detector"):
        stock_config('ismallnet_s_nuaa')
