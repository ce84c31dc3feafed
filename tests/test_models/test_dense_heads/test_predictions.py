# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Predictions of the head."""

import math

import pytest
import torch
from head_cases import ANCHORS, SIZE, STRIDES, instances, make_head, raw_maps, sample


def one_detection(head, level=0, anchor=1, row=2, col=3, classes=(4.0, -9.0, -9.0), images=1):
    """Maps that say nothing but at one place, where they give the anchor itself."""
    maps = raw_maps(images=images, fill=-9)
    values = maps[level].unflatten(1, (3, -1))
    values[:, anchor, :4, row, col] = 0
    values[:, anchor, 4, row, col] = 4
    values[:, anchor, 5:, row, col] = torch.tensor(classes)
    return maps


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize('level, anchor, row, col', [(0, 1, 2, 3), (1, 0, 3, 1), (0, 2, 7, 4)])
def test_layout_of_the_raw_maps(level, anchor, row, col):
    """Anchor-major: x, y, w, h, objectness, classes of the first anchor, then of the second."""
    head = make_head()
    maps = one_detection(head, level, anchor, row, col)
    assert maps[level][0, anchor * 8 + 4, row, col] == 4
    result = head.predict_by_feat(maps, [dict(img_shape=(SIZE, SIZE))])[0]
    stride, (w, h) = STRIDES[level], ANCHORS[level][anchor]
    x, y = (col + 0.5) * stride, (row + 0.5) * stride
    expected = torch.tensor([x - w / 2, y - h / 2, x + w / 2, y + h / 2]).clamp(0, SIZE)
    assert len(result) == 1
    torch.testing.assert_close(result.bboxes[0], expected, atol=1e-4, rtol=0)
    assert result.scores.item() == pytest.approx(sigmoid(4) ** 2, abs=1e-5)
    assert result.labels.item() == 0


def test_score_of_a_single_class_is_the_objectness():
    head = make_head(num_classes=1)
    maps = raw_maps(1, 1, fill=-9)
    maps[0][0, 4, 0, 0] = 1.0
    result = head.predict_by_feat(maps, [dict(img_shape=(SIZE, SIZE))])[0]
    assert result.scores.tolist() == pytest.approx([sigmoid(1)])


def test_score_threshold():
    head = make_head()
    maps = one_detection(head, classes=(0.0, -9, -9))  # score 0.491
    for thr, count in ((0.48, 1), (0.5, 0)):
        head.test_cfg['score_thr'] = thr
        result = head.predict_by_feat(maps, [dict(img_shape=(SIZE, SIZE))])[0]
        assert len(result) == count
        assert result.bboxes.shape == (count, 4) and result.labels.dtype == torch.long


def test_multi_label():
    head = make_head()
    maps = one_detection(head, classes=(1.0, -9.0, 2.0))
    meta = [dict(img_shape=(SIZE, SIZE))]
    result = head.predict_by_feat(maps, meta)[0]
    assert result.labels.tolist() == [2, 0]
    assert result.scores.tolist() == pytest.approx([sigmoid(4) * sigmoid(v) for v in (2, 1)])
    head.test_cfg['multi_label'] = False
    result = head.predict_by_feat(maps, meta)[0]
    assert result.labels.tolist() == [2]


def test_suppression_is_by_class():
    head = make_head()
    maps = one_detection(head)
    values = maps[0].unflatten(1, (3, -1))
    meta = [dict(img_shape=(SIZE, SIZE))]
    # A neighbor cell that points at the same place with the same anchor: one detection.
    values[0, 1, :, 2, 4] = values[0, 1, :, 2, 3]
    values[0, 1, 0, 2, 4] = -20  # a cell to the left
    assert len(head.predict_by_feat(maps, meta)[0]) == 1
    assert len(head.predict_by_feat(maps, meta, with_nms=False)[0]) == 2
    values[0, 1, 5:7, 2, 4] = torch.tensor([-9.0, 4.0])  # of another class: two
    assert len(head.predict_by_feat(maps, meta)[0]) == 2


def test_max_per_img_keeps_the_best():
    head = make_head()
    torch.manual_seed(1)
    maps = [m.detach() for m in raw_maps(images=1)]
    meta = [dict(img_shape=(SIZE, SIZE))]
    everything = head.predict_by_feat(maps, meta)[0]
    assert len(everything) > 20
    assert (everything.scores.diff() <= 0).all()
    head.test_cfg['max_per_img'] = 7
    few = head.predict_by_feat(maps, meta)[0]
    assert torch.equal(few.bboxes, everything.bboxes[:7])
    head.test_cfg['nms_pre'] = 5
    assert head.predict_by_feat(maps, meta)[0].scores[0] == everything.scores[0]
    assert len(head.predict_by_feat(maps, meta)[0]) <= 5


def test_boxes_are_clipped_and_rescaled():
    head = make_head()
    maps = one_detection(head, level=2, anchor=2, row=1, col=1, images=2)
    metas = [
        dict(img_shape=(50, 60), scale_factor=(0.5, 0.25)),
        dict(img_shape=(SIZE, SIZE), scale_factor=(2.0, 2.0)),
    ]
    plain = head.predict_by_feat(maps, metas)
    # center (48, 48), anchor 90 x 99
    assert plain[0].bboxes[0].tolist() == pytest.approx([3, 0, 60, 50])
    assert plain[1].bboxes[0].tolist() == pytest.approx([3, 0, 64, 64])
    rescaled = head.predict_by_feat(maps, metas, rescale=True)
    assert rescaled[0].bboxes[0].tolist() == pytest.approx([6, 0, 120, 200])
    assert rescaled[1].bboxes[0].tolist() == pytest.approx([1.5, 0, 32, 32])


@torch.no_grad()
def test_predict_of_the_detector_rescales(build_detector):
    model = build_detector().eval()
    model.bbox_head.test_cfg['score_thr'] = 0.0
    data = sample(instances([]), scale_factor=(0.5, 0.5))
    image = torch.rand(1, 3, SIZE, SIZE)
    boxes = model(image, [data], mode='predict')[0].pred_instances.bboxes
    raw = model.bbox_head.predict(model.extract_feat(image), [data])[0].bboxes
    torch.testing.assert_close(boxes, raw * 2)
    assert len(boxes) > 0


@torch.no_grad()
def test_decoded_rows_run_over_levels_rows_columns_anchors():
    head = make_head()
    boxes, scores = head.decode_maps(raw_maps(images=2, fill=0))
    assert boxes.shape == (2, 3 * (64 + 16 + 4), 4) and scores.shape == (2, 252, 4)
    center = (boxes[..., :2] + boxes[..., 2:]) / 2
    assert center[0, :7].tolist() == [[4, 4]] * 3 + [[12, 4]] * 3 + [[20, 4]]
    assert center[1, 24].tolist() == [4, 12] and center[0, 192].tolist() == [8, 8]
    sizes = (boxes[0, :3, 2:] - boxes[0, :3, :2]).tolist()
    assert sizes == [list(map(float, a)) for a in ANCHORS[0]]


def test_errors():
    with pytest.raises(ValueError, match='obj_level_weights: found 2 numbers, expected 3'):
        make_head(obj_level_weights=(1.0, 2.0))
