# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The metrics of the field's most used evaluation and of the authors' script, on their data."""

import json

import numpy as np
import pytest

from smallobj_mm.evaluation.irstd_counts import count_image
from smallobj_mm.evaluation.irstd_summary import evaluate_images
from smallobj_mm.utils.probability_maps import decode_probabilities

THRESHOLDS = (0.25, 0.5, 0.75)
NAMES = ('IoU', 'Pd', 'Fa', 'targets', 'detected', 'false_pixels', 'all_pixels', 'precision',
         'recall', 'F1')  # fmt: skip


@pytest.fixture(scope='module')
def expected(golden_dir):
    return json.loads((golden_dir / 'irstd_metrics.json').read_text())


@pytest.fixture(scope='module')
def images(golden_dir):
    arrays = np.load(golden_dir / 'irstd_metrics.npz')
    return [
        count_image(
            decode_probabilities(arrays[f'{index:03d}/prediction']),
            arrays[f'{index:03d}/mask'],
            THRESHOLDS,
            matching='first',
        )
        for index in range(len(arrays.files) // 2)
    ]


def test_every_figure_at_every_threshold(images, expected):
    result = evaluate_images(images, THRESHOLDS, empty='zero', with_curves=False)
    assert set(expected['by_threshold']) == {f'{one:g}' for one in THRESHOLDS}
    for threshold, figures in expected['by_threshold'].items():
        ours = result[threshold]
        assert set(figures) == {*NAMES, 'nIoU_empty_is_0'}
        for name in NAMES:
            assert ours[name] == pytest.approx(figures[name], abs=1e-9, rel=0), (threshold, name)
        assert ours['nIoU'] == pytest.approx(figures['nIoU_empty_is_0'], abs=1e-9, rel=0)


def test_every_figure_of_the_authors(images, expected):
    ours = evaluate_images(images, THRESHOLDS, with_curves=False, authors=True)['authors']
    assert set(ours) == set(expected['authors_eval_script'])
    for name, figure in expected['authors_eval_script'].items():
        assert ours[name] == pytest.approx(figure, abs=1e-9, rel=0), name


def test_empty_images(images):
    """One of the 62 is empty in truth and prediction: that is what ``empty`` is about."""
    by = {
        empty: evaluate_images(images, THRESHOLDS, empty=empty, with_curves=False)['0.5']['nIoU']
        for empty in ('one', 'zero', 'skip')
    }
    total = by['zero'] * len(images)
    assert by['one'] > by['skip'] > by['zero']
    empty = round((by['one'] - by['zero']) * len(images))
    assert empty >= 1
    assert by['skip'] == pytest.approx(total / (len(images) - empty), abs=1e-12)
