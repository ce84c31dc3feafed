# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the pictures of infrared images show; how they look is for the eye."""

import cv2
import numpy as np
import pytest

from smallobj_mm.evaluation.irstd_counts import count_image
from smallobj_mm.evaluation.irstd_summary import evaluate_images, without_nan
from smallobj_mm.visualization.irstd_curves import KINDS, draw_curves
from smallobj_mm.visualization.irstd_figure import (
    LEAST_SIDE,
    draw_figure,
    figure_png,
    focus_window,
    gray,
)
from smallobj_mm.visualization.irstd_marks import FALSE_ALARM, HIT, MISS, draw_verdict, judge
from smallobj_mm.visualization.irstd_surface import POINTS, draw_surfaces, thin_out


@pytest.fixture
def scene():
    """A hit at (10, 12), a miss at (50, 60), false alarms at (30, 80) and (70, 5), one ignored."""
    truth = np.zeros((80, 100), np.uint8)
    probability = np.zeros((80, 100), np.float32)
    truth[9:12, 11:14] = probability[9:12, 11:14] = 1
    truth[50, 60] = 1
    probability[29:32, 79:82] = 0.8
    probability[70, 5] = 0.6
    truth[:, 95:] = 255
    probability[40:44, 96:99] = 0.9
    image = np.full((80, 100, 3), 70, np.uint8)
    return image, probability, truth


def test_judge(scene):
    _, probability, truth = scene
    verdict = judge(probability > 0.5, truth)
    assert [len(circles) for circles in verdict] == [1, 1, 2]
    np.testing.assert_allclose(verdict.hits[0], [12, 10, np.sqrt(2) + 3])
    np.testing.assert_allclose(verdict.misses[0], [60, 50, 3])
    assert verdict.false_alarms[:, :2].tolist() == [[80, 30], [5, 70]]  # the larger one first
    counts = count_image(probability, truth)
    assert counts.false_components.tolist() == [2] and counts.detected.sum() == 1
    assert len(judge(probability > 0.7, truth).false_alarms) == 1


def test_draw_verdict_leaves_the_targets_alone(scene):
    image, probability, truth = scene
    drawn = draw_verdict(image, probability > 0.5, truth, zoom=3)
    assert drawn.shape[1] == 602 and drawn.shape[0] > 240
    for x in (0, 302):
        for row, column in ((10, 12), (50, 60), (30, 80)):
            assert (drawn[row * 3 + 1, x + column * 3 + 1] == 70).all()
    colors = {tuple(color) for color in drawn[:240].reshape(-1, 3).tolist()}
    assert {HIT, FALSE_ALARM} <= colors
    assert any(abs(np.subtract(one, MISS)).max() < 40 for one in colors)  # smoothed
    alone = draw_verdict(image, probability > 0.5, None)
    assert {tuple(one) for one in alone[:80].reshape(-1, 3).tolist()}.isdisjoint({HIT, FALSE_ALARM})


def test_the_inset_shows_the_miss_then_the_smallest_target(scene):
    _, probability, truth = scene
    verdict = judge(probability > 0.5, truth)
    left, top, side = focus_window(verdict, truth.shape)
    assert side == LEAST_SIDE and left <= 60 < left + side and top <= 50 < top + side
    hit = focus_window(verdict._replace(misses=np.zeros((0, 3))), truth.shape)
    assert hit[0] <= 12 < hit[0] + hit[2] and hit[1] == 0
    nothing = judge(np.zeros((80, 100)), np.zeros((80, 100), np.uint8))
    assert focus_window(nothing, (80, 100)) is None
    assert focus_window(verdict, (12, 100))[2] == 12


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_figure(scene):
    image, probability, truth = scene
    figure = draw_figure(image, probability, truth, probability, probability / 10, name='im 1')
    assert titles(figure) == [
        'Input', 'Ground truth', 'Prediction', 'Interior', 'Boundary (white = 0.1)',
    ]  # fmt: skip
    (legend,) = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words[:3] == ['hit (1)', 'miss (1)', 'false alarm (2)']
    assert all(len(axes.child_axes) == 1 for axes in figure.axes[:5])
    # The inset keeps clear of the marks.
    inset = figure.axes[2].child_axes[0].get_position()
    assert inset.width > 0
    picture = cv2.imdecode(np.frombuffer(figure_png(figure), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] == 2600


def test_figure_without_maps_or_anything_to_see():
    blank = np.zeros((40, 40), np.uint8)
    figure = draw_figure(blank, blank.astype(np.float32), blank)
    assert titles(figure) == ['Input', 'Ground truth', 'Prediction']
    assert not any(axes.child_axes for axes in figure.axes)


def test_surfaces_keep_the_peak():
    values = np.zeros((300, 200), np.float32)
    values[151, 77] = 1
    thin, step = thin_out(values)
    assert step == 3 and thin.shape == (100, 67) and max(thin.shape) <= POINTS
    assert thin.max() == 1 and thin[50, 25] == 1
    figure = draw_surfaces([('Input', values), ('Prediction', values[:50, :40])])
    assert titles(figure) == ['Input', 'Prediction']
    assert gray(np.full((4, 4, 3), 255, np.uint8)).max() == 1


def test_curves_of_several_models(scene):
    _, probability, truth = scene
    result = evaluate_images([count_image(probability, truth, curves=True)], (0.5,))
    empty = np.zeros((8, 8), np.uint8)
    nothing = evaluate_images([count_image(empty.astype(np.float32), empty, curves=True)], (0.5,))
    models = [(f'model {index}', result['curves']) for index in range(8)]
    models.append(('no targets', without_nan(nothing)['curves']))
    figure = draw_curves(models)
    assert titles(figure) == ['ROC', 'Pd–Fa', 'Precision–recall'] and len(KINDS) == 3
    for axes in figure.axes:
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert len(labels) == 9 and labels[0].startswith('model 0')
        styles = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
        assert len(styles) == 9
    assert figure_png(figure)[:4] == b'\x89PNG'
    assert titles(draw_curves(models[:1], ['pr'])) == ['Precision–recall']
