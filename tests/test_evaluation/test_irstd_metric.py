# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import csv
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import DefaultSampler
from mmengine.logging import MMLogger
from mmengine.structures import PixelData

pytest.importorskip('mmseg')
from mmseg.structures import SegDataSample

from smallobj_mm.evaluation import IRSTDMetric
from smallobj_mm.evaluation.irstd_counts import count_image
from smallobj_mm.evaluation.irstd_summary import evaluate_images


def random_set(seed, number=6, size=24):
    """Truths with a few squares, predictions that meet some of them."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(number):
        truth = np.zeros((size, size), np.uint8)
        probability = rng.random((size, size)).astype(np.float32) * 0.4
        for _ in range(rng.integers(0, 4)):
            y, x, side = *rng.integers(0, size - 8, 2), rng.integers(1, 9)
            truth[y : y + side, x : x + side] = 1
            if rng.random() < 0.7:
                probability[y : y + side, x : x + side + 1] = rng.random()
        pairs.append((probability, truth))
    return pairs


def sample(probability, truth, name):
    one = SegDataSample(metainfo=dict(img_path=name, ori_shape=truth.shape))
    one.gt_sem_seg = PixelData(data=torch.from_numpy(truth[None].astype(np.int64)))
    probability = torch.as_tensor(np.asarray(probability))
    one.seg_logits = PixelData(data=probability if probability.ndim == 3 else probability[None])
    return one.to_dict()


def samples_of(pairs):
    return [sample(*pair, f'{index}.png') for index, pair in enumerate(pairs)]


def run(samples, **options):
    metric = IRSTDMetric(**options)
    for one in samples:
        metric.process({}, [one])
    values = metric.evaluate(len(samples))
    return {name.removeprefix('irstd/'): value for name, value in values.items()}


def summary(pairs, thresholds=(0.5,), matching='first', **options):
    images = [count_image(*pair, thresholds, matching, curves=True) for pair in pairs]
    return evaluate_images(images, thresholds, matching, **options)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_a_perfect_prediction(seed):
    pairs = random_set(seed)
    pairs.append((None, np.eye(24, dtype=np.uint8)))
    result = summary([(truth.astype(np.float32), truth) for _, truth in pairs])
    perfect = result['0.5']
    for name in ('IoU', 'nIoU', 'Pd', 'precision', 'recall', 'F1'):
        assert perfect[name] == 1, name
    assert perfect['Fa'] == perfect['false_pixels'] == 0
    assert result['curves']['AUC'] == pytest.approx(1) and result['curves']['AP'] == 1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.randoms())
def test_the_order_of_images_changes_nothing(seed, random):
    pairs = random_set(seed)
    before = summary(pairs, (0.3, 0.5), authors=True)
    random.shuffle(pairs)
    after = summary(pairs, (0.3, 0.5), authors=True)
    for key in ('0.3', '0.5', 'authors'):
        for name, value in before[key].items():
            if not isinstance(value, dict):
                assert after[key][name] == pytest.approx(value, nan_ok=True), name


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_optimal_detects_no_less(seed):
    pairs = random_set(seed)
    first, optimal = (summary(pairs, (0.2,), how)['0.2'] for how in ('first', 'optimal'))
    assert optimal['detected'] >= first['detected']
    assert optimal['false_components'] <= first['false_components']
    assert optimal['IoU'] == pytest.approx(first['IoU'], nan_ok=True)


def test_curves_agree_with_the_figures():
    pairs = random_set(3, number=10)
    result = summary(pairs, (0.5,))
    drawn, at = result['curves'], result['0.5']
    index = drawn['ROC']['threshold'].index(0.5)
    assert drawn['ROC']['TPR'][index] == at['recall']
    negatives = at['all_pixels'] - at['true_positives'] - at['false_negatives']
    assert drawn['ROC']['FPR'][index] == at['false_positives'] / negatives
    index = drawn['PR']['threshold'].index(0.5)
    assert drawn['PR']['precision'][index] == at['precision']
    index = drawn['Pd_Fa']['threshold'].index(0.5)
    assert drawn['Pd_Fa']['Pd'][index] == at['Pd'] and drawn['Pd_Fa']['Fa'][index] == at['Fa']


def test_area_under_the_curve():
    """Equals the probability that a target pixel is above a background pixel, ties counting ½."""
    rng = np.random.default_rng(0)
    probability = (rng.integers(0, 6, (20, 20)) / 8).astype(np.float32)
    truth = (rng.random((20, 20)) < 0.1).astype(np.uint8)
    high, low = probability[truth == 1][:, None], probability[truth == 0][None]
    expected = ((high > low) + 0.5 * (high == low)).mean()
    assert summary([(probability, truth)])['curves']['AUC'] == pytest.approx(expected, abs=1e-12)


def test_sizes_and_counts():
    truth, found = np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.float32)
    for index, (area, hit) in enumerate([(9, 1), (10, 0), (20, 1), (21, 1), (66, 0), (67, 1)]):
        rows = slice(index * 10, index * 10 + 1 + (area > 60))
        for array in (truth, found) if hit else (truth,):
            array[rows, : area // (1 + (area > 60))] = 1
            if area == 67:
                array[index * 10, 33] = 1
    result = summary([(found, truth)])['0.5']
    assert result['targets'] == 6 and result['detected'] == 4
    assert [(row['targets'], row['detected']) for row in result['Pd_by_size'].values()] == [
        (1, 1), (2, 1), (2, 1), (1, 1),
    ]  # fmt: skip


def test_nothing_to_divide_by():
    nothing = np.zeros((8, 8), np.uint8)
    result = run(samples_of([(nothing.astype(np.float32), nothing)]), authors=True)
    assert result['nIoU'] == 1 and result['Fa_1e-6'] == 0 and result['authors_f1'] == 0
    assert all(math.isnan(result[name]) for name in ('IoU', 'Pd', 'recall', 'F1', 'AUC'))
    silent = run(samples_of([(nothing.astype(np.float32), np.eye(8, dtype=np.uint8))]))
    assert [silent[name] for name in ('IoU', 'nIoU', 'Pd', 'precision', 'F1')] == [0] * 5


def test_names_table_and_files(tmp_path, caplog):
    MMLogger.get_current_instance().addHandler(caplog.handler)
    options = dict(
        thresholds=(0.25, 0.5), authors=True, empty='skip', matching='optimal',
        json_file=str(tmp_path / 'metrics.json'), per_image_file=str(tmp_path / 'images.csv'),
    )  # fmt: skip
    values = run(samples_of(random_set(5)), **options)
    MMLogger.get_current_instance().removeHandler(caplog.handler)
    kept = json.loads((tmp_path / 'metrics.json').read_text())
    assert values['Fa_1e-6'] == 1e6 * kept['0.5']['Fa'] > 0
    assert values['Fa_1e-6@0.25'] == 1e6 * kept['0.25']['Fa']
    for name in ('IoU', 'nIoU', 'Pd', 'precision', 'recall', 'F1'):
        assert values[name] == kept['0.5'][name]
        assert values[f'{name}@0.25'] == kept['0.25'][name]
    assert values['AUC'] == kept['curves']['AUC'] and values['authors_md'] == kept['authors']['md']
    assert kept['settings']['matching'] == 'optimal' and kept['settings']['empty'] == 'skip'
    table = caplog.text
    for words in ('Fa x1e-6', 'is left out', 'detects most', "Authors' script", 'Pd of <=9 px'):
        assert words in table
    rows = list(csv.DictReader((tmp_path / 'images.csv').open()))
    assert len(rows) == 12
    targets = sum(int(row['targets']) for row in rows if row['threshold'] == '0.5')
    assert targets == kept['0.5']['targets']


def test_two_channels_and_main_threshold():
    probability, truth = random_set(1)[0]
    logit = np.log(np.clip(probability, 1e-6, 1) / np.clip(1 - probability, 1e-6, 1))
    two = np.stack([np.zeros_like(logit), logit]).astype(np.float32)
    values = run([sample(two, truth, 'a.png')], thresholds=(0.2, 0.3), curves=False)
    expected = run([sample(probability, truth, 'a.png')], thresholds=(0.2, 0.3), curves=False)
    assert values == pytest.approx(expected, nan_ok=True)
    assert 'IoU' in values and 'IoU@0.3' in values and 'AUC' not in values


def test_an_image_that_comes_twice_counts_once():
    samples = samples_of(random_set(2))
    assert run(samples + samples[:2]) == run(samples)


def _worker(rank, meeting, samples, queue):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{meeting}', rank=rank, world_size=2
    )
    metric = IRSTDMetric()
    indices = list(DefaultSampler(samples, shuffle=False))
    for index in indices:
        metric.process({}, [samples[index]])
    queue.put((len(indices), metric.evaluate(len(samples))))
    torch.distributed.destroy_process_group()


def test_two_processes_count_every_image_once(tmp_path):
    samples = samples_of(random_set(7, number=5))
    for one in samples[2:4]:
        del one['img_path']  # nothing tells these two apart from others
    expected = run(samples)
    context = torch.multiprocessing.get_context('fork')
    queue = context.Queue()
    workers = [
        context.Process(target=_worker, args=(rank, tmp_path / 'meeting', samples, queue))
        for rank in range(2)
    ]
    for worker in workers:
        worker.start()
    answers = [queue.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(timeout=30)
        assert worker.exitcode == 0
    for share, values in answers:
        assert share == 3  # six places for five images: one is there twice
        assert {name.removeprefix('irstd/'): value for name, value in values.items()} == expected


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (dict(thresholds=()), r'thresholds are \[\]'),
        (dict(thresholds=(0.5, 0.5)), 'different numbers'),
        (dict(thresholds=(1.0,)), r'in \[0, 1\)'),
        (dict(matching='best'), "matching is 'best'"),
        (dict(empty='nan'), "empty is 'nan'"),
        (dict(match_distance=0), 'match_distance is 0'),
    ],
)
def test_wrong_arguments(options, said):
    with pytest.raises(ValueError, match=said):
        IRSTDMetric(**options)


def test_wrong_samples():
    probability, truth = random_set(0)[0]
    good = sample(probability, truth, 'x/a.png')
    with pytest.raises(ValueError, match='x/a.png: the prediction is 24 x 24, the truth 20 x 24'):
        run([sample(probability, truth[:20], 'x/a.png')])
    with pytest.raises(ValueError, match='a.png has no gt_sem_seg: put LoadBinaryMask'):
        run([{key: value for key, value in good.items() if key != 'gt_sem_seg'}])
    with pytest.raises(ValueError, match='a.png: the prediction has no seg_logits'):
        run([{key: value for key, value in good.items() if key != 'seg_logits'}])
    with pytest.raises(ValueError, match='seg_logits are 3 x 24 x 24'):
        run([sample(np.stack([probability] * 3), truth, 'a.png')])
    with pytest.raises(ValueError, match='no image was evaluated'):
        IRSTDMetric().compute_metrics([])
