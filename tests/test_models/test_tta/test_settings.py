# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
from mmengine.config import Config

pytest.importorskip('mmseg')

from smallobj_mm.models.tta.settings import set_tta

LOAD, TRUTH, PACK = (
    dict(type=name) for name in ('LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs')
)


def config(head, **more):
    dataset = dict(type='Any', pipeline=[LOAD, TRUTH, PACK])
    return Config(
        dict(
            default_scope='mmseg',
            model=dict(type='EncoderDecoder', decode_head=head),
            test_dataloader=dict(dataset=dict(type='Wrapper', dataset=dataset)),
            **more,
        )
    )


def applied(head, **more):
    cfg = config(head, **more)
    set_tta(cfg)
    assert cfg.model.module.type == 'EncoderDecoder'
    return cfg.model.type, cfg.test_dataloader.dataset.dataset.pipeline


@pytest.mark.parametrize(
    'head',
    [dict(type='FCNHead', num_classes=2, out_channels=1), dict(type='FCNHead', num_classes=2),
     dict(type='InteriorBoundaryFusionHead'), [dict(type='FCNHead', num_classes=2)]],
)  # fmt: skip
@pytest.mark.usefixtures('shown')
def test_targets_get_four_flips(head):
    model, pipeline = applied(head)
    assert model == 'smallobj_mm.ProbabilityTTAModel'
    assert [step['type'] for step in pipeline] == [LOAD['type'], TRUTH['type'], 'TestTimeAug']
    views, (pack,) = pipeline[-1]['transforms']
    assert len({view['direction'] for view in views}) == 4 and 'tta_view' in pack['meta_keys']


@pytest.fixture
def shown():
    """The heads are found by name only where something imported them."""
    import mmseg.models  # noqa: F401

    import smallobj_mm  # noqa: F401


def test_many_classes_get_the_stock_model():
    model, pipeline = applied(dict(type='FCNHead', num_classes=19))
    assert model == 'SegTTAModel'
    views, (truth,), _ = pipeline[-1]['transforms']
    assert [view['prob'] for view in views] == [1.0, 0.0] and truth == TRUTH


def test_detectors_keep_their_limit():
    pipeline = [LOAD, TRUTH, dict(type='PackDetInputs')]
    loader = dict(dataset=dict(type='Any', pipeline=pipeline))
    for test_cfg, limit in ((dict(max_per_img=300), 300), (None, 100)):
        model = dict(type='Any', test_cfg=test_cfg)
        cfg = Config(dict(default_scope='mmdet', model=model, test_dataloader=loader))
        set_tta(cfg)
        assert cfg.model.type == 'DetTTAModel' and cfg.model.tta_cfg.max_per_img == limit
        steps = [step['type'] for step in cfg.test_dataloader.dataset.pipeline]
        assert steps == [LOAD['type'], 'TestTimeAug']


def test_the_stock_model_is_replaced_where_it_fails():
    stock = dict(type='SegTTAModel')
    steps = [LOAD, dict(type='TestTimeAug', transforms=[[dict(type='RandomFlip')], [PACK]])]
    model, pipeline = applied(
        dict(type='FCNHead', num_classes=2, out_channels=1), tta_model=stock, tta_pipeline=steps
    )
    assert model == 'smallobj_mm.ProbabilityTTAModel' and pipeline == steps
    assert applied(dict(type='FCNHead', num_classes=19), tta_model=stock)[0] == 'SegTTAModel'


@pytest.mark.parametrize(
    ('model', 'words'),
    [('SegTTAModel', 'expected ProbabilityTTAModel'),
     ('ProbabilityTTAModel', "packing without 'tta_view'")],
)  # fmt: skip
def test_views_that_nobody_undoes(model, words):
    steps = [LOAD, dict(type='TestTimeAug', transforms=[[dict(type='FlipTurn')], [PACK]])]
    with pytest.raises(ValueError, match=words):
        applied(dict(type='FCNHead', num_classes=3), tta_model=dict(type=model), tta_pipeline=steps)
