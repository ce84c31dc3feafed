# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.datasets.transforms import BoxCopyPaste
from smallobj_mm.datasets.transforms.object_patch import covered_shares, cut_patch
from smallobj_mm.registry import TRANSFORMS

PLAIN = dict(prob=1, scale_range=(1, 1), flip_prob=0, match_background=False)


def scene(boxes, labels, size=(120, 160), level=100, ignore=None):
    """A flat image with a bright ramp in each box."""
    img = np.full((*size, 3), level, dtype=np.uint8)
    for x1, y1, x2, y2 in np.array(boxes, dtype=int).reshape(-1, 4):
        img[y1:y2, x1:x2] = level + 50 + np.arange(x2 - x1)[None, :, None] * 3
    return dict(
        img=img,
        img_path='scene.png',
        img_shape=size,
        gt_bboxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        gt_bboxes_labels=np.array(labels, dtype=np.int64),
        gt_ignore_flags=np.array(ignore if ignore is not None else [False] * len(labels)),
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), others=st.integers(0, 2), boxed=st.booleans())
def test_old_objects_stay_and_new_ones_are_where_they_say(painted, seed, others, boxed):
    rng = np.random.default_rng(seed)
    samples = [
        painted.sample(rng, 140, 200, count=3, ignored=index == 1, boxed=boxed)
        for index in range(others + 1)
    ]
    for sample in samples:  # room for copies: half of each image is empty
        sample['img'] = np.pad(sample['img'], ((0, 140), (0, 0), (0, 0)), constant_values=114)
        sample['img_shape'] = sample['img'].shape[:2]
    before = painted.boxes(samples[0]).copy()
    np.random.seed(seed)
    paste = BoxCopyPaste(prob=1, max_copies=4, scale_range=(0.5, 1), match_background=False)
    results = dict(samples[0], mix_results=samples[1:]) if others else dict(samples[0])
    out = paste(results)
    after = painted.boxes(out)
    assert isinstance(out['gt_bboxes'], np.ndarray) != boxed
    np.testing.assert_array_equal(after[:3], before)
    assert not out['gt_ignore_flags'][3:].any()
    painted.assert_aligned(out)
    mine, _ = covered_shares(after, after)
    np.fill_diagonal(mine, 0)
    assert (mine == 0).all()
    old = samples[0]['img']
    x1, y1, x2, y2 = before.astype(int).T
    for row in range(3):
        box = (slice(y1[row], y2[row]), slice(x1[row], x2[row]))
        np.testing.assert_array_equal(out['img'][box], old[box])


def test_a_copy_equals_its_object(seeded):
    sample = scene([[20, 30, 32, 40]], [3])
    out = BoxCopyPaste(max_copies=1, **PLAIN)(dict(sample))
    assert out['gt_bboxes_labels'].tolist() == [3, 3]
    x1, y1, x2, y2 = out['gt_bboxes'][1].astype(int)
    np.testing.assert_array_equal(out['img'][y1:y2, x1:x2], sample['img'][30:40, 20:32])
    assert (np.array(sample['img']) == scene([[20, 30, 32, 40]], [3])['img']).all()
    # The flat background is the same there and here, so that nothing else has changed.
    expected = sample['img'].copy()
    expected[y1:y2, x1:x2] = sample['img'][30:40, 20:32]
    np.testing.assert_array_equal(out['img'], expected)


def test_flips(seeded):
    sample = scene([[20, 30, 32, 40]], [0])
    sample['img'][30:34, 20:32] += 20
    for horizontal, vertical in ((1, 0), (0, 1), (1, 1)):
        options = dict(PLAIN, flip_prob=horizontal, vertical_flip_prob=vertical)
        out = BoxCopyPaste(max_copies=1, **options)(dict(sample))
        x1, y1, x2, y2 = out['gt_bboxes'][1].astype(int)
        step = (
            slice(None, None, -1 if vertical else 1),
            slice(None, None, -1 if horizontal else 1),
        )
        np.testing.assert_array_equal(out['img'][y1:y2, x1:x2], sample['img'][30:40, 20:32][step])


def test_scales_are_log_uniform(seeded):
    sample = scene([[20, 30, 60, 70]], [0], size=(300, 400))
    paste = BoxCopyPaste(prob=1, max_copies=1, scale_range=(0.5, 2))
    boxes = np.array([paste(dict(sample))['gt_bboxes'][1] for _ in range(300)])
    logs = np.log2((boxes[:, 2] - boxes[:, 0]) / 40)
    assert logs.min() < -0.9 and logs.max() > 0.9 and abs(logs.mean()) < 0.1
    assert (boxes >= 0).all() and (boxes <= [400, 300, 400, 300]).all()


def test_margin_fades_and_comes_along():
    boxes = np.array([[20.0, 30, 40, 50], [42, 30, 60, 50]], dtype=np.float32)
    img = np.zeros((100, 100), dtype=np.uint8)
    patch = cut_patch(img, boxes, 0, 0.25)
    assert patch.img.shape == (30, 30) and patch.box.tolist() == [5, 5, 25, 25]
    assert (patch.alpha[5:25, 5:25] == 1).all()
    left = patch.alpha[15, :5]
    assert (np.diff(left) > 0).all() and 0 < left[0] < 0.05 and 0.95 < left[-1] < 1
    np.testing.assert_allclose(
        left, 0.5 + 0.5 * np.cos(np.pi * np.array([0.9, 0.7, 0.5, 0.3, 0.1])), atol=1e-6
    )
    # Nothing of the neighbor, who starts two pixels to the right.
    assert (patch.alpha[5:25, 27:] == 0).all() and (patch.alpha[15, 25:27] > 0).all()
    # A margin beyond the image is cut off.
    patch = cut_patch(img, np.array([[1.0, 1, 21, 21]], dtype=np.float32), 0, 0.25)
    assert patch.img.shape == (26, 26) and patch.box.tolist() == [1, 1, 21, 21]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3]))
def test_limit_of_the_overlap_holds(seed, limit):
    rng = np.random.default_rng(seed)
    low = rng.integers(5, 90, size=(8, 2))
    boxes = np.concatenate([low, low + rng.integers(5, 25, size=(8, 2))], axis=1)
    sample = scene(boxes, [0] * 8, ignore=[True] + [False] * 7)
    np.random.seed(seed)
    out = BoxCopyPaste(max_copies=6, max_overlap=limit, **PLAIN)(dict(sample))
    after = out['gt_bboxes']
    for row in range(8, len(after)):
        mine, theirs = covered_shares(after[[row]], after[:row])
        assert max(mine.max(), theirs.max()) <= limit + 1e-6


def test_no_place_no_copy(seeded):
    sample = scene([[2, 2, 118, 118]], [0], size=(120, 120))
    out = BoxCopyPaste(**PLAIN)(dict(sample))
    assert len(out['gt_bboxes']) == 1 and out['img'] is sample['img']
    small = scene([[2, 2, 10, 10], [0, 0, 120, 120]], [0, 1], size=(120, 120), ignore=[False, True])
    assert len(BoxCopyPaste(**PLAIN)(small)['gt_bboxes']) == 2


def test_what_is_copied(seeded):
    boxes = [
        [10, 10, 16, 16],
        [40, 40, 70, 70],
        [100, 50, 110, 60],
        [0, 80, 9, 90],
        [90, 90, 100, 99],
    ]
    sample = scene(boxes, [0, 1, 2, 3, 4], size=(200, 300), ignore=[0, 0, 0, 0, 1])

    def copied(**options):
        paste = BoxCopyPaste(max_copies=3, **{**PLAIN, **options})
        return {int(x) for _ in range(60) for x in paste(dict(sample))['gt_bboxes_labels'][5:]}

    assert copied() == {0, 1, 2}  # 3 touches the border, 4 is to be ignored
    assert copied(classes=[1, 4]) == {1}
    assert copied(max_size=11) == {0, 2}
    assert copied(max_size=10) == {0}
    assert copied(class_weights=[0, 0, 1, 1, 1]) == {2}
    assert copied(size_weights=[(9, 0), (20, 1), (99, 0)]) == {2}
    assert copied(scale_range=(0.3, 0.3), min_size=2) == {1, 2}
    # Objects that others overlap are not copied, unless allowed.
    crowd = scene([[20, 20, 40, 40], [30, 20, 50, 40]], [0, 1], size=(200, 300))
    assert len(BoxCopyPaste(**PLAIN)(dict(crowd))['gt_bboxes']) == 2
    assert len(BoxCopyPaste(max_overlap=0.5, **PLAIN)(dict(crowd))['gt_bboxes']) > 2


def test_rare_classes_by_balance(seeded):
    boxes = [[10 + 12 * i, 10, 18 + 12 * i, 18] for i in range(10)]
    sample = scene(boxes, [0] * 9 + [1], size=(200, 300))

    labels = {balance: [] for balance in (False, True)}
    for balance in labels:
        paste = BoxCopyPaste(max_copies=1, balance_classes=balance, **PLAIN)
        for _ in range(400):
            labels[balance] += paste(dict(sample))['gt_bboxes_labels'][10:].tolist()
    assert np.mean(labels[False]) == pytest.approx(0.1, abs=0.05)
    assert np.mean(labels[True]) == pytest.approx(0.5, abs=0.08)


def test_background_is_matched(seeded):
    bright = scene([[20, 30, 32, 40]], [0], level=150)
    dark = scene([], [], level=60)
    options = dict(PLAIN, match_background=True, max_copies=1)
    out = BoxCopyPaste(**options)(dict(dark, mix_results=[bright]))
    x1, y1, x2, y2 = out['gt_bboxes'][0].astype(int)
    np.testing.assert_array_equal(
        out['img'][y1:y2, x1:x2], bright['img'][30:40, 20:32].astype(int) - 90
    )
    outside = np.ones(out['img'].shape[:2], dtype=bool)
    outside[y1:y2, x1:x2] = False
    assert (out['img'][outside] == 60).all()
    gray = [dict(s, img=s['img'][..., 0].astype(np.float32)) for s in (dark, bright)]
    out = BoxCopyPaste(**options)(dict(gray[0], mix_results=[gray[1]]))
    assert (
        out['img'].dtype == np.float32 and out['img'].ndim == 2 and out['img'].max() == 60 + 50 + 33
    )


def test_number_of_images_and_probability(seeded):
    paste = BoxCopyPaste(prob=0.3, num_images=2)
    drawn = [paste.get_indexes(range(5)) for _ in range(1000)]
    assert np.mean([len(d) == 2 for d in drawn]) == pytest.approx(0.3, abs=0.05)
    assert {len(d) for d in drawn} == {0, 2} and {i for d in drawn for i in d} == set(range(5))
    sample = scene([[20, 30, 32, 40]], [3])
    # No others although some are asked for: nothing was drawn in get_indexes.
    assert len(paste(dict(sample, mix_results=[]))['gt_bboxes']) == 1
    for results in (dict(sample), dict(sample, mix_results=[])):
        paste = BoxCopyPaste(prob=0.3, num_images=0)
        assert paste.get_indexes(range(5)) == []
        pasted = [len(paste(dict(results))['gt_bboxes']) > 1 for _ in range(500)]
        assert np.mean(pasted) == pytest.approx(0.3, abs=0.06)


def test_same_seed_same_sample_and_inputs_stay(painted, seeded):
    rng = np.random.default_rng(3)
    samples = [painted.sample(rng, 90, 240, count=5) for _ in range(2)]
    copies = [(s['img'].copy(), painted.boxes(s).copy()) for s in samples]
    outs = []
    for _ in range(2):
        seeded(7)
        outs.append(
            BoxCopyPaste(prob=1, scale_range=(0.3, 0.5))(dict(samples[0], mix_results=samples[1:]))
        )
    assert len(outs[0]['gt_bboxes']) > 5
    np.testing.assert_array_equal(outs[0]['img'], outs[1]['img'])
    np.testing.assert_array_equal(painted.boxes(outs[0]), painted.boxes(outs[1]))
    for sample, (img, boxes) in zip(samples, copies):
        np.testing.assert_array_equal(sample['img'], img)
        np.testing.assert_array_equal(painted.boxes(sample), boxes)


def test_errors_name_what_is_wrong():
    for options in (
        dict(prob=2),
        dict(flip_prob=-1),
        dict(max_overlap=1.5),
        dict(num_images=-1),
        dict(max_copies=0),
        dict(margin=-0.1),
        dict(attempts=0),
        dict(scale_range=(2, 1)),
        dict(class_weights=[-1]),
    ):
        with pytest.raises(ValueError, match=f'BoxCopyPaste: {next(iter(options))} is'):
            BoxCopyPaste(**options)
    sample = scene([[20, 30, 32, 40]], [3])
    gray = dict(sample, img=sample['img'][..., 0], img_path='gray.png')
    with pytest.raises(ValueError, match='gray.png is uint8 of shape'):
        BoxCopyPaste()(dict(sample, mix_results=[gray]))


def test_registered():
    assert 'max_copies=5' in repr(TRANSFORMS.build(dict(type='BoxCopyPaste', max_copies=5)))
