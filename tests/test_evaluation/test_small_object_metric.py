# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.evaluation.metrics import CocoMetric
from mmengine.logging import MMLogger
from mmengine.registry import METRICS as ROOT_METRICS

from smallobj_mm.evaluation import SmallObjectMetric

NAMES = ['AP50_voc', 'AP', 'AP50', 'AP75', 'AP_tiny', 'AP_small', 'AP_medium', 'AP_large']


@pytest.fixture
def log():
    """Records of the logger that the metric writes to."""
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append((record.levelname, record.getMessage()))

    handler = Keep()
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_coco_part_equals_the_stock_metric(evaluation, tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    samples = [evaluation.random_image(rng, index, ignored=0) for index in range(6)]
    ours = evaluation.run(samples)
    stock = CocoMetric(outfile_prefix=str(tmp_path_factory.mktemp('coco') / 'stock'))
    stock.dataset_meta = dict(classes=('a', 'b', 'c'))
    for sample in samples:
        truth = sample['gt_instances']
        sample['instances'] = [
            dict(bbox=box, bbox_label=label, ignore_flag=0)
            for box, label in zip(truth['bboxes'].tolist(), truth['labels'].tolist())
        ]
    stock.process({}, samples)
    theirs = stock.evaluate(len(samples))
    pairs = dict(AP='mAP', AP50='mAP_50', AP75='mAP_75', AP_medium='mAP_m', AP_large='mAP_l')
    for name, other in pairs.items():
        assert abs(ours[name] - theirs[f'coco/bbox_{other}']) < 1e-3, name


def test_perfect_detections_by_size(evaluation):
    sides = dict(tiny=15.9, small=16.0, medium=32.0, large=100.0)
    for name, side in sides.items():
        box = [[10, 10, 10 + side, 10 + side]]
        result = evaluation.run([evaluation.image(0, box, [1], box, [1])])
        assert list(result) == NAMES
        for size in sides:
            assert result[f'AP_{size}'] == pytest.approx(1.0 if size == name else -1.0)
        assert [result['AP50_voc'], result['AP']] == pytest.approx([1.0, 1.0])


def test_images_without_predictions_and_without_objects_count(evaluation):
    box = [[10, 10, 30, 30]]
    found = evaluation.image(0, box, [0], box, [0], scores=[0.5])
    missed = evaluation.image(1, box, [0])
    false = evaluation.image(2, [], [], box, [0], scores=[0.9])
    assert evaluation.run([found])['AP50'] == pytest.approx(1.0)
    assert evaluation.run([found, missed])['AP50_voc'] == pytest.approx(0.5)
    assert evaluation.run([found, missed])['AP50'] == pytest.approx(0.5, abs=0.01)
    assert evaluation.run([found, false])['AP50_voc'] == pytest.approx(0.5)
    assert evaluation.run([found, false])['AP50'] == pytest.approx(0.5)
    assert evaluation.run([missed])['AP'] == evaluation.run([missed])['AP50_voc'] == 0.0


def test_ignore_region_takes_in_detections_of_every_class(evaluation):
    box, inside = (
        [10, 10, 30, 30],
        [[105, 105, 115, 115], [120, 120, 140, 140], [130, 100, 140, 110]],
    )
    sample = evaluation.image(
        0,
        [box],
        [0],
        [*inside, box],
        [0, 0, 1, 0],
        scores=[0.9, 0.9, 0.9, 0.5],
        ignore=[[100, 100, 150, 150]],
        ignore_labels=[2],
    )
    other = evaluation.image(1, [box], [1], [box], [1], scores=[0.5])
    result = evaluation.run([sample, other])
    assert [result['AP50_voc'], result['AP']] == pytest.approx([1.0, 1.0])
    result = evaluation.run([sample, other], ignore_regions='class')
    # One object of each class behind two false detections, and behind one.
    mean = (1 / 3 + 1 / 2) / 2
    assert [result['AP50_voc'], result['AP50']] == pytest.approx([mean, mean])


def test_max_dets_limits_the_coco_part(evaluation):
    boxes = [[20 * i, 0, 20 * i + 10, 10] for i in range(8)]
    sample = evaluation.image(0, boxes, [0] * 8, boxes, [0] * 8)
    assert evaluation.run([sample])['AP'] == pytest.approx(1.0)
    assert evaluation.run([sample], max_dets=4)['AP'] == pytest.approx(0.5, abs=0.01)


def test_table_says_what_it_shows(evaluation, log):
    box = [[10, 10, 20, 20]]
    sample = evaluation.image(0, box, [1], box, [1], ignore=[[50, 50, 60, 60]])
    evaluation.run([sample], classes=('boat', 'plane'))
    table = log[-1][1]
    for words in (
        'boat',
        'plane',
        'mean of classes',
        'tiny 1',
        '1 ignored boxes, for every class',
        'COCO calls',
        '100 detections',
        *NAMES,
    ):
        assert words in table
    row = [cell.strip() for cell in table.splitlines()[4].split('|')[1:-1]]
    assert row[0] == 'boat' and row[1:3] == ['0', '0'] and set(row[3:]) == {'-'}
    evaluation.run([sample], classes=('boat', 'plane'), classwise=False)
    assert 'boat' not in log[-1][1] and 'mean of classes' in log[-1][1]


def test_repeated_images_count_once(evaluation, log):
    rng = np.random.default_rng(0)
    samples = [evaluation.random_image(rng, index) for index in range(4)]
    assert evaluation.run(samples + samples[:2]) == evaluation.run(samples)
    assert any('2 of 6 results' in message for _, message in log)
    # The same id in two parts of a joint data set is two images.
    twins = [dict(sample, img_id=0) for sample in samples]
    assert evaluation.run(twins) == evaluation.run(samples)


def test_names_as_ids(evaluation):
    rng = np.random.default_rng(1)
    samples = [evaluation.random_image(rng, f'scene/{index}') for index in range(3)]
    assert evaluation.run(samples)['AP'] > 0


def test_coordinates_of_the_resized_image_are_found_out(evaluation, log):
    rng = np.random.default_rng(2)
    corners = rng.uniform(0, 600, size=(40, 2))
    boxes = np.concatenate([corners, corners + 20], axis=1)
    labels = np.zeros(40, int)
    large = dict(ori_shape=(320, 320), img_shape=(640, 640))
    with pytest.raises(ValueError, match='put LoadAnnotations after Resize'):
        evaluation.run([evaluation.image(0, boxes, labels, **large)])
    evaluation.run([evaluation.image(0, boxes / 2, labels, **large)])
    small = dict(ori_shape=(1280, 1280), img_shape=(640, 640))
    log.clear()
    evaluation.run([evaluation.image(0, boxes * 2, labels, **small)])
    assert not any(level == 'WARNING' for level, _ in log)
    evaluation.run([evaluation.image(0, boxes, labels, **small)])
    assert any(level == 'WARNING' and 'put it after' in message for level, message in log)


def changed(sample, field, **values):
    return dict(sample, **{field: dict(sample[field], **values)})


def test_errors_name_what_is_wrong(evaluation):
    box = [[10, 10, 20, 20]]
    sample = evaluation.image(7, box, [1], box, [1])
    nan = np.full((1, 4), np.nan)
    cases = [
        (
            changed(sample, 'gt_instances', labels=np.array([3])),
            '7.png has ground truth of class 3',
        ),
        (changed(sample, 'pred_instances', labels=np.array([-1])), 'a prediction of class -1'),
        (
            changed(sample, 'pred_instances', bboxes=nan),
            'bboxes in pred_instances that are not fin',
        ),
        (changed(sample, 'pred_instances', scores=np.ones(2)), '1 bboxes, 1 labels, 2 scores'),
        (dict(sample, gt_instances={}), 'no bboxes, labels in gt_instances: put LoadAnnotations'),
        (dict(sample, pred_instances=None), 'in pred_instances: the model has to'),
        ({k: v for k, v in sample.items() if k != 'ori_shape'}, "no 'ori_shape': add it to meta"),
        (evaluation.image(7, [], [], box, [1]), 'no ground-truth object in 1 images'),
    ]
    for case, message in cases:
        with pytest.raises(ValueError, match=message) as caught:
            evaluation.run([case])
        assert '\n' not in str(caught.value)
    with pytest.raises(ValueError, match="no 'classes'"):
        evaluation.run([sample], classes=())
    with pytest.raises(ValueError, match='no ground-truth object in 0 images'):
        evaluation.run([])
    with pytest.raises(ValueError, match='max_dets is 0'):
        SmallObjectMetric(max_dets=0)
    with pytest.raises(ValueError, match="ignore_regions is 'none'"):
        SmallObjectMetric(ignore_regions='none')


def test_registered():
    assert isinstance(ROOT_METRICS.build(dict(type='SmallObjectMetric')), SmallObjectMetric)
