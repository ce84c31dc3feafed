# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallobj_mm.datasets.transforms import SmallObjectMosaic
from smallobj_mm.datasets.transforms.mosaic import four_layout, nine_layout
from smallobj_mm.registry import TRANSFORMS


def mosaic_input(painted, rng, others, **kwargs):
    samples = [
        painted.sample(rng, height, width, ignored=index % 2, **kwargs)
        for index, (height, width) in enumerate(rng.integers(40, 120, size=(others + 1, 2)))
    ]
    return dict(samples[0], mix_results=samples[1:]), samples


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), others=st.sampled_from([0, 3, 8]), boxed=st.booleans())
def test_labels_follow_their_boxes(painted, seed, others, boxed):
    rng = np.random.default_rng(seed)
    results, samples = mosaic_input(painted, rng, others, boxed=boxed)
    np.random.seed(seed)
    out = SmallObjectMosaic(img_scale=(96, 80))(results)
    assert out['img'].shape == (160, 192, 3)
    assert isinstance(out['gt_bboxes'], np.ndarray) != boxed
    assert len(out['gt_bboxes_labels']) <= sum(len(s['gt_bboxes_labels']) for s in samples)
    painted.assert_aligned(out)


def test_sample_alone_is_letterboxed_and_complete(painted, seeded):
    rng = np.random.default_rng(1)
    sample = painted.sample(rng, height=60, width=90)
    out = SmallObjectMosaic(img_scale=(90, 90))(dict(sample, mix_results=[]))
    np.testing.assert_array_equal(painted.boxes(out), painted.boxes(sample) + np.tile([45, 60], 2))
    np.testing.assert_array_equal(out['img'][60:120, 45:135], sample['img'])
    assert (out['img'][:60] == 114).all()


def test_ignore_flags_stay_with_their_regions(painted, seeded):
    rng = np.random.default_rng(2)
    results, samples = mosaic_input(painted, rng, 3)
    for index, sample in enumerate(samples):
        sample['gt_bboxes_labels'][:] = index
        sample['gt_ignore_flags'][:] = index % 2
    out = SmallObjectMosaic(img_scale=(90, 90), min_area_ratio=0)(results)
    assert out['gt_ignore_flags'].any()
    np.testing.assert_array_equal(out['gt_ignore_flags'], out['gt_bboxes_labels'] % 2 == 1)


def test_slivers_of_objects_go_and_of_ignore_regions_stay(painted, seeded, monkeypatch):
    sample = painted.sample(np.random.default_rng(0), height=80, width=80, count=1)
    sample['gt_bboxes'].tensor[:] = sample['gt_bboxes'].tensor.new_tensor([[0, 0, 80, 80]])
    transform = SmallObjectMosaic(img_scale=(80, 80), min_area_ratio=0.1)
    # The first image has its lower right corner at (5, 80): 5 of 80 columns remain.
    monkeypatch.setattr(transform, '_center', lambda: np.array([5, 80]))
    for flag, expected in ((False, 3), (True, 4)):
        sample['gt_ignore_flags'][:] = flag
        others = [painted.sample(np.random.default_rng(0), 80, 80, count=1) for _ in range(3)]
        others[1]['gt_bboxes'] = others[1]['gt_bboxes'][:0]
        others[1]['gt_bboxes_labels'] = others[1]['gt_bboxes_labels'][:0]
        others[1]['gt_ignore_flags'] = others[1]['gt_ignore_flags'][:0]
        out = transform(dict(sample, mix_results=others))
        assert len(out['gt_bboxes']) == expected - 1


def test_four_images_meet_in_the_center():
    sizes = np.array([[10, 20], [30, 40], [50, 60], [70, 80]])
    corners = four_layout(sizes, (100, 200))
    np.testing.assert_array_equal(corners, [[90, 180], [100, 160], [50, 200], [100, 200]])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 40)), min_size=9, max_size=9))
def test_nine_images_lie_in_nine_cells_without_overlap(sizes):
    sizes = np.array(sizes)
    corners = nine_layout(sizes, (50, 40))
    assert (corners >= 0).all() and (corners + sizes <= [150, 120]).all()
    np.testing.assert_array_equal(corners[0], [50, 40])
    canvas = np.zeros((120, 150), dtype=int)
    for (x, y), (w, h) in zip(corners, sizes):
        canvas[y : y + h, x : x + w] += 1
    assert canvas.max() == 1


def test_nine_window_reaches_all_of_the_grid(seeded):
    offsets = np.array([SmallObjectMosaic(img_scale=(4, 2))._offset() for _ in range(200)])
    np.testing.assert_array_equal(offsets.min(axis=0), [0, 0])
    np.testing.assert_array_equal(offsets.max(axis=0), [4, 2])


def test_number_of_images_is_drawn_as_configured(seeded):
    mosaic = SmallObjectMosaic(nine_prob=0.2, prob=0.9)
    counts = [len(mosaic.get_indexes(range(5))) for _ in range(3000)]
    shares = [counts.count(number) / len(counts) for number in (0, 3, 8)]
    np.testing.assert_allclose(shares, [0.1, 0.72, 0.18], atol=0.03)
    drawn = {index for _ in range(100) for index in SmallObjectMosaic().get_indexes(range(5))}
    assert drawn == set(range(5))


def test_same_seed_same_mosaic_and_inputs_stay(painted, seeded):
    results, samples = mosaic_input(painted, np.random.default_rng(3), 8)
    copies = [(s['img'].copy(), painted.boxes(s).copy()) for s in samples]
    outs = []
    for _ in range(2):
        seeded(7)
        outs.append(SmallObjectMosaic(img_scale=(64, 64))(dict(results)))
    np.testing.assert_array_equal(outs[0]['img'], outs[1]['img'])
    np.testing.assert_array_equal(painted.boxes(outs[0]), painted.boxes(outs[1]))
    for sample, (img, boxes) in zip(samples, copies):
        np.testing.assert_array_equal(sample['img'], img)
        np.testing.assert_array_equal(painted.boxes(sample), boxes)


def test_gray_images_and_no_boxes(painted, seeded):
    rng = np.random.default_rng(4)
    samples = [painted.sample(rng, count=0) for _ in range(4)]
    for sample in samples:
        sample['img'] = sample['img'][..., 0]
    out = SmallObjectMosaic(img_scale=(64, 64))(dict(samples[0], mix_results=samples[1:]))
    assert out['img'].shape == (128, 128) and len(out['gt_bboxes']) == 0


def test_errors_name_what_is_wrong(painted):
    sample = painted.sample(np.random.default_rng(5))
    with pytest.raises(ValueError, match='MultiImageMixDataset'):
        SmallObjectMosaic()(sample)
    with pytest.raises(ValueError, match='found 2 samples'):
        SmallObjectMosaic()(dict(sample, mix_results=[sample] * 2))
    gray = dict(sample, img=sample['img'][..., 0], img_path='gray.png')
    with pytest.raises(ValueError, match='gray.png is uint8 of shape'):
        SmallObjectMosaic(img_scale=(64, 64))(dict(sample, mix_results=[gray] * 3))
    bare = {key: value for key, value in sample.items() if key != 'gt_bboxes'}
    with pytest.raises(ValueError, match="painted.png has no 'gt_bboxes'"):
        SmallObjectMosaic(img_scale=(64, 64))(dict(bare, mix_results=[]))
    with pytest.raises(ValueError, match='gt_masks'):
        SmallObjectMosaic(img_scale=(64, 64))(dict(sample, mix_results=[], gt_masks=None))
    for kwargs in (
        dict(img_scale=640),
        dict(img_scale=(640, 0)),
        dict(nine_prob=1.5),
        dict(prob=-1),
        dict(center_ratio_range=(1.5, 0.5)),
        dict(min_area_ratio=1),
    ):
        with pytest.raises(ValueError, match=f'SmallObjectMosaic: {next(iter(kwargs))} is'):
            SmallObjectMosaic(**kwargs)


def test_registered():
    assert 'nine_prob=0.3' in repr(TRANSFORMS.build(dict(type='SmallObjectMosaic', nine_prob=0.3)))
