# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.evaluation.functional import eval_map
from mmdet.evaluation.functional.mean_ap import average_precision as stock_average_precision

from smallobj_mm.evaluation.voc_ap import average_precision, match_image, pairwise_overlap, voc_ap


def arrays(sample):
    pred, truth, ignored = (
        {key: value.numpy() for key, value in sample[name].items()}
        for name in ('pred_instances', 'gt_instances', 'ignored_instances')
    )
    return dict(
        boxes=pred['bboxes'],
        scores=pred['scores'],
        labels=pred['labels'],
        gt_boxes=truth['bboxes'],
        gt_labels=truth['labels'],
        ignore_boxes=ignored['bboxes'],
        ignore_labels=ignored['labels'],
    )


def stock(images, num_classes, replicate):
    """mmdet's eval_map; with ``replicate``, ignored boxes are there for every class."""
    annotations, detections = [], []
    for item in images:
        boxes, labels = item['ignore_boxes'], item['ignore_labels']
        if replicate:
            labels = np.tile(np.arange(num_classes), len(boxes))
            boxes = np.repeat(boxes, num_classes, axis=0)
        annotations.append(
            dict(
                bboxes=item['gt_boxes'],
                labels=item['gt_labels'],
                bboxes_ignore=boxes,
                labels_ignore=labels,
            )
        )
        rows = np.c_[item['boxes'], item['scores']]
        detections.append([rows[item['labels'] == index] for index in range(num_classes)])
    mean, per_class = eval_map(
        detections, annotations, iou_thr=0.5, logger='silent', eval_mode='area', nproc=1
    )
    return mean, per_class


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), ignored=st.integers(0, 4))
def test_equals_eval_map(evaluation, seed, ignored):
    rng = np.random.default_rng(seed)
    images = [arrays(evaluation.random_image(rng, i, ignored=ignored)) for i in range(8)]
    found = voc_ap(images, 3, ignore_all=False)
    mean, per_class = stock(images, 3, replicate=False)
    np.testing.assert_allclose(np.nanmean(found), mean, atol=1e-6)
    for value, other in zip(found, per_class):
        np.testing.assert_allclose(value, other['ap'], atol=1e-6)


def test_regions_for_every_class_equal_replicated_ones(evaluation):
    """Where no detection is a small one inside a region, 'all' is eval_map with copies."""
    images = []
    for item in (arrays(evaluation.random_image(np.random.default_rng(i), i)) for i in range(8)):
        inside = pairwise_overlap(item['boxes'], item['ignore_boxes'], relative_to_boxes=True)
        keep = (inside.max(axis=1) < 0.5) | (
            pairwise_overlap(item['boxes'], item['ignore_boxes']).max(axis=1) >= 0.5
        )
        images.append(dict(item, **{key: item[key][keep] for key in ('boxes', 'scores', 'labels')}))
    np.testing.assert_allclose(
        np.nanmean(voc_ap(images, 3)), stock(images, 3, replicate=True)[0], atol=1e-6
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), max_size=40), st.integers(1, 60))
def test_area_under_the_curve_equals_the_stock_one(hits, objects):
    hits = np.array(hits, dtype=bool)
    objects = max(objects, int(hits.sum()))
    found = np.cumsum(hits)
    expected = stock_average_precision(found / objects, found / np.arange(1, len(hits) + 1))
    np.testing.assert_allclose(average_precision(hits, objects), expected, atol=1e-6)


def test_known_overlaps():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 0, 5]])
    others = np.array([[5, 0, 15, 10], [20, 20, 30, 30]])
    np.testing.assert_allclose(pairwise_overlap(boxes, others), [[1 / 3, 0], [0, 0]])
    np.testing.assert_allclose(pairwise_overlap(boxes, others, True), [[0.5, 0], [0, 0]])


def item(**kwargs):
    empty = dict(
        boxes=np.zeros((0, 4)),
        scores=np.zeros(0),
        labels=np.zeros(0, int),
        gt_boxes=np.zeros((0, 4)),
        gt_labels=np.zeros(0, int),
        ignore_boxes=np.zeros((0, 4)),
        ignore_labels=np.zeros(0, int),
    )
    return dict(empty, **{key: np.array(value) for key, value in kwargs.items()})


def test_first_of_two_detections_finds_the_object():
    case = item(
        boxes=[[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]],
        scores=[0.5, 0.9, 0.99],
        labels=[0, 0, 0],
        gt_boxes=[[0, 0, 10, 10]],
        gt_labels=[0],
    )
    np.testing.assert_array_equal(match_image(case, 0.5, True), [0, 1, 0])


@pytest.mark.parametrize('ignore_all, expected', [(True, [-1, -1, -1, 0]), (False, [-1, 0, 0, 0])])
def test_detections_in_ignored_boxes(ignore_all, expected):
    region = [0, 0, 40, 40]
    case = item(
        boxes=[region, region, [5, 5, 10, 10], [35, 35, 60, 60]],
        scores=[0.9, 0.8, 0.7, 0.6],
        labels=[0, 1, 1, 1],
        ignore_boxes=[region],
        ignore_labels=[0],
    )
    np.testing.assert_array_equal(match_image(case, 0.5, ignore_all), expected)


def test_class_without_objects_is_nan():
    result = voc_ap([item(gt_boxes=[[0, 0, 5, 5]], gt_labels=[1])], 2)
    np.testing.assert_array_equal(result, [np.nan, 0.0])
