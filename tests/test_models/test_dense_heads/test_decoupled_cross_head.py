# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Losses and predictions of the head, on raw maps and inside the small detector."""

import math

import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch.utils._python_dispatch import TorchDispatchMode

import smallobj_mm  # noqa: F401
from smallobj_mm.registry import MODELS

SIZE = 64  # px
STRIDES = (8, 16, 32)
ANCHORS = [
    [(6, 6), (8, 12), (14, 10)],
    [(16, 24), (24, 16), (32, 32)],
    [(48, 40), (64, 64), (90, 99)],
]
TEST_CFG = dict(
    score_thr=0.1, nms=dict(type='nms', iou_threshold=0.65), nms_pre=1000, max_per_img=100,
    multi_label=True,
)


def make_head(num_classes=3, **options):
    init_default_scope('mmdet')
    return MODELS.build(dict(
        type='DecoupledCrossHead', num_classes=num_classes, img_size=SIZE,
        head_module=dict(type='DecoupledCrossHeadModule', in_channels=[8, 8, 8]),
        prior_generator=dict(type='mmdet.YOLOAnchorGenerator', base_sizes=ANCHORS, strides=STRIDES),
        test_cfg=dict(TEST_CFG), **options))


def raw_maps(num_classes=3, images=2, size=SIZE, fill=None, **kwargs):
    shapes = [(images, 3 * (5 + num_classes), size // s, size // s) for s in STRIDES]
    if fill is not None:
        return [torch.full(s, float(fill), **kwargs) for s in shapes]
    return [torch.randn(s).requires_grad_() for s in shapes]


def instances(boxes, labels=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.zeros(len(boxes)) if labels is None else torch.tensor(labels)
    return InstanceData(bboxes=boxes, labels=labels.long())


def random_instances(count, num_classes=3, size=SIZE):
    low = torch.rand(count, 2) * (size - 24)
    boxes = torch.cat([low, low + 4 + torch.rand(count, 2) * 20], dim=1)
    return InstanceData(bboxes=boxes, labels=torch.randint(num_classes, (count,)))


def sample(truth, ignored=None, size=SIZE, **meta):
    data = DetDataSample(metainfo=dict(img_shape=(size, size), ori_shape=(size, size), **meta))
    data.gt_instances = truth
    data.ignored_instances = ignored if ignored is not None else instances([])
    return data


# ---- losses


@pytest.mark.parametrize('num_classes', [1, 3])
@pytest.mark.parametrize('decoupled', [False, True])
@pytest.mark.parametrize('stride4', [False, True])
@pytest.mark.parametrize('counts', [(0, 0), (0, 3), (5, 2)])
def test_every_parameter_gets_a_gradient(
    build_detector, without_gradient, num_classes, decoupled, stride4, counts
):
    """With targets or none: distributed training stops at a parameter without one."""
    model = build_detector(num_classes, stride4, decoupled)
    model.train()
    samples = [sample(random_instances(n, num_classes)) for n in counts]
    losses = model(torch.rand(2, 3, SIZE, SIZE), samples, mode='loss')
    assert set(losses) == {'loss_bbox', 'loss_obj', 'loss_cls'}
    assert all(loss.isfinite() for loss in losses.values())
    if not any(counts):
        assert losses['loss_bbox'] == losses['loss_cls'] == 0 and losses['loss_obj'] > 0
    if num_classes == 1:
        assert losses['loss_cls'] == 0
    sum(losses.values()).backward()
    assert without_gradient(model) == []


def test_losses_of_one_target_by_hand():
    """Every term from its formula, for one target that fits one anchor of the first level."""
    head = make_head()
    maps = raw_maps(images=1)
    box = (20.0, 29.0, 22.2, 31.2)  # 2.2 px: within 4 of the anchor of 6 px alone
    losses = head.loss_by_feat(maps, [instances([box], [1])])
    # The target's centre is (2.6375, 3.7625) in cells: own cell, the right and the lower one.
    near = [(3, 2), (3, 3), (4, 2)]
    rows = maps[0].detach().unflatten(1, (3, 8))[0]
    predictions = []
    for row, col in near:
        value = rows[0, :, row, col].double()
        s = value.sigmoid()
        centre = [(2 * s[0] - 0.5 + col) * 8, (2 * s[1] - 0.5 + row) * 8]
        half = [(2 * s[2]) ** 2 * 3, (2 * s[3]) ** 2 * 3]
        decoded = [centre[0] - half[0], centre[1] - half[1], centre[0] + half[0],
                   centre[1] + half[1]]
        overlap = [
            max(0.0, min(decoded[i + 2], box[i + 2]) - max(decoded[i], box[i])) for i in (0, 1)
        ]
        inter = float(overlap[0] * overlap[1])
        iou = inter / float(4 * half[0] * half[1] + 2.2**2 - inter)
        p = (s[5:] * s[4]).sqrt()
        bce = -sum(p[c].log() if c == 1 else (1 - p[c]).log() for c in range(3))
        cost = float(bce) - 3 * math.log(iou + 1e-8)
        predictions.append((cost, iou, decoded, value, (row, col)))
    assert sum(p[1] for p in predictions) < 2  # so that k is 1: the cheapest alone
    _, iou, decoded, value, cell = min(predictions, key=lambda p: p[0])
    width, height = float(decoded[2] - decoded[0]), float(decoded[3] - decoded[1])
    offset = sum(((float(decoded[i] + decoded[i + 2])) - box[i] - box[i + 2]) ** 2 / 4
                 for i in (0, 1))
    hull = sum((max(float(decoded[i + 2]), box[i + 2]) - min(float(decoded[i]), box[i])) ** 2
               for i in (0, 1))
    v = 4 / math.pi**2 * (math.pi / 4 - math.atan(width / height)) ** 2
    ciou = iou - offset / hull - v * v / (1 - iou + v)
    assert losses['loss_bbox'].item() == pytest.approx(0.05 * (1 - ciou), rel=1e-4)

    one_hot = torch.tensor([0.0, 1.0, 0.0]).double()
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    expected = 0.3 * 3 / 80 * bce(value[5:], one_hot)
    assert losses['loss_cls'].item() == pytest.approx(expected.item(), rel=1e-4)

    expected = 0.0
    for level, (raw, weight) in enumerate(zip(maps, (4.0, 1.0, 0.4))):
        logits = raw.detach().unflatten(1, (3, 8))[:, :, 4].double()
        target = torch.zeros_like(logits)
        if level == 0:
            target[0, 0, cell[0], cell[1]] = max(ciou, 0)
        expected += 0.7 * (SIZE / 640) ** 2 * weight * bce(logits, target)
    assert losses['loss_obj'].item() == pytest.approx(float(expected), rel=1e-4)


def test_losses_sum_over_the_batch():
    """Twice the same image: twice the loss."""
    head, maps = make_head(), raw_maps(images=1)
    truth = random_instances(4)
    one = head.loss_by_feat(maps, [truth])
    two = head.loss_by_feat([m.repeat(2, 1, 1, 1) for m in maps], [truth, truth])
    for name, value in one.items():
        assert two[name].item() == pytest.approx(2 * value.item(), rel=1e-5)


def test_image_order_does_not_matter():
    head, maps = make_head(), raw_maps(images=3)
    truth = [random_instances(n) for n in (3, 0, 6)]
    first = head.loss_by_feat(maps, truth)
    second = head.loss_by_feat([m.flip(0) for m in maps], truth[::-1])
    for name, value in first.items():
        assert second[name].item() == pytest.approx(value.item(), rel=1e-5)


def test_box_types_give_the_same():
    head, maps = make_head(), raw_maps(images=1)
    truth = random_instances(4)
    wrapped = InstanceData(bboxes=HorizontalBoxes(truth.bboxes), labels=truth.labels)
    assert head.loss_by_feat(maps, [truth]) == head.loss_by_feat(maps, [wrapped])


def test_saturated_predictions_stay_finite():
    head = make_head()
    for value in (60, -60):
        maps = [m.requires_grad_() for m in raw_maps(fill=value)]
        losses = head.loss_by_feat(maps, [random_instances(5), random_instances(1)])
        sum(losses.values()).backward()
        assert all(loss.isfinite() for loss in losses.values())
        assert all(m.grad.isfinite().all() for m in maps)


def test_learning_from_one_image():
    """Raw maps that follow the gradient end at the targets."""
    head = make_head()
    truth = instances([(10, 12, 18, 20), (30, 34, 54, 50)], [0, 2])
    maps = [(m * 0 - 2).requires_grad_() for m in raw_maps(images=1, fill=0)]
    optimizer = torch.optim.Adam(maps, lr=0.1)
    for _ in range(120):
        optimizer.zero_grad()
        sum(head.loss_by_feat(maps, [truth]).values()).backward()
        optimizer.step()
    result = head.predict_by_feat(maps, [dict(img_shape=(SIZE, SIZE))])[0]
    for box, label in zip(truth.bboxes, truth.labels):
        best = (result.bboxes - box).abs().amax(dim=1).argmin()
        torch.testing.assert_close(result.bboxes[best], box, atol=1.5, rtol=0)
        assert result.labels[best] == label and result.scores[best] > 0.5


# ---- regions to ignore


def objectness_gradients(head, maps, truth, ignored):
    grads = torch.autograd.grad(head.loss_by_feat(maps, truth, ignored)['loss_obj'], maps)
    return [g.unflatten(1, (3, -1))[:, :, 4] for g in grads]  # (N, A, H, W)


def test_regions_to_ignore_are_no_background():
    """No gradient in cells whose centre lies in a region, the same gradient elsewhere."""
    head, maps = make_head(), raw_maps()
    truth = [instances([]), instances([])]
    regions = [instances([(16, 24, 40, 40), (60, 60, 64, 64)]), instances([])]
    plain = objectness_gradients(head, maps, truth, None)
    got = objectness_gradients(head, maps, truth, regions)
    for stride, before, after in zip(STRIDES, plain, got):
        expected = before.clone()
        for row in range(SIZE // stride):
            for col in range(SIZE // stride):
                x, y = (col + 0.5) * stride, (row + 0.5) * stride
                for x1, y1, x2, y2 in regions[0].bboxes.tolist():
                    if x1 <= x < x2 and y1 <= y < y2:
                        expected[0, :, row, col] = 0
        torch.testing.assert_close(after, expected)
    assert (got[0][0] == 0).sum() == 3 * (3 * 2 + 1)  # cells of the two regions, three anchors
    assert (got[0][1] == 0).sum() == 0


def test_matched_predictions_learn_inside_of_a_region():
    head, maps = make_head(), raw_maps(images=1)
    truth = [instances([(20.0, 29.0, 22.2, 31.2)])]
    plain = objectness_gradients(head, maps, truth, None)
    got = objectness_gradients(head, maps, truth, [instances([(0, 0, SIZE, SIZE)])])
    kept = [(g != 0) for g in got]
    assert [int(k.sum()) for k in kept] == [1, 0, 0]
    torch.testing.assert_close(got[0][kept[0]], plain[0][kept[0]])


def test_regions_of_data_samples_are_heeded(build_detector):
    model = build_detector()
    image = torch.rand(1, 3, SIZE, SIZE)
    whole = instances([(0, 0, SIZE, SIZE)])
    losses = [
        model(image, [sample(instances([]), ignored=ignored)], mode='loss')['loss_obj']
        for ignored in (None, whole)
    ]
    assert losses[0] > 0 and losses[1] == 0


def test_regions_leave_box_and_class_losses_alone():
    head, maps, truth = make_head(), raw_maps(images=1), [random_instances(4)]
    plain = head.loss_by_feat(maps, truth)
    for ignored in ([None], [instances([])], [instances([(0, 0, 30, 30)])]):
        got = head.loss_by_feat(maps, truth, ignored)
        assert got['loss_bbox'] == plain['loss_bbox'] and got['loss_cls'] == plain['loss_cls']


# ---- no loop over targets


class CountOps(TorchDispatchMode):
    """Counts the operations that reach PyTorch."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def test_number_of_operations_does_not_grow_with_targets():
    head = make_head()
    # Five that reach all levels and overlap; then thirty of each, moved.
    few = torch.tensor([[20.0, 20, 26, 28], [60, 60, 66, 65], [60, 60, 84, 90], [62, 61, 85, 88],
                        [100, 100, 180, 190]])
    many = (few + 110 * torch.rand(30, 1, 1)).flatten(0, 1)
    counts = []
    for boxes in (few, many):
        truth = InstanceData(bboxes=boxes, labels=torch.zeros(len(boxes), dtype=torch.long))
        maps = raw_maps(images=2, size=320)
        with CountOps() as ops:
            losses = head.loss_by_feat(maps, [truth] * 2)
            sum(losses.values()).backward()
        counts.append(ops.count)
    assert abs(counts[1] - counts[0]) <= 20


# ---- predictions


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
    # A neighbour cell that points at the same place with the same anchor: one detection.
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
    # centre (48, 48), anchor 90 x 99
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
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    assert centre[0, :7].tolist() == [[4, 4]] * 3 + [[12, 4]] * 3 + [[20, 4]]
    assert centre[1, 24].tolist() == [4, 12] and centre[0, 192].tolist() == [8, 8]
    sizes = (boxes[0, :3, 2:] - boxes[0, :3, :2]).tolist()
    assert sizes == [list(map(float, a)) for a in ANCHORS[0]]


def test_errors():
    with pytest.raises(ValueError, match='obj_level_weights: found 2 numbers, expected 3'):
        make_head(obj_level_weights=(1.0, 2.0))
