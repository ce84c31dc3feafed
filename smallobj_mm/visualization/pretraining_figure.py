# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What a pretraining was worth: learning curves, and results with and without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .irstd_figure import figure_png
from .label_curves import COLORS

Curve = Sequence[tuple[float, float]]


def draw_pretraining(
    loss: Curve,
    curves: Mapping[str, Curve],
    metric: str,
    rows: Sequence[Mapping[str, np.ndarray]] = (),
) -> bytes:
    """Two curves above, rows of pictures below.

    Args:
        loss: Of the pretraining, ``(iteration, value)``; empty without one.
        curves: Way to the first weights -> ``(epoch or iteration, metric)`` of fine-tuning.
        metric: Name of the metric.
        rows: Of each image, title -> picture (H, W, 3) uint8, BGR; the same titles in each row.

    Returns:
        The figure as PNG.
    """
    columns = max((len(row) for row in rows), default=2)
    figure = Figure(figsize=(4.2 * max(columns, 2), 3.2 + 3.0 * len(rows)), layout='constrained')
    FigureCanvasAgg(figure)
    heights = [1.1] + [1.0] * len(rows)
    above, *below = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    left, right = above.subplots(1, 2)
    _draw_curve(left, loss, COLORS[1], 'pretraining')
    left.set(xlabel='iteration of pretraining', ylabel='loss')
    for color, (name, curve) in zip(COLORS, curves.items()):
        _draw_curve(right, curve, color, f'{name}: {curve[-1][1]:.3f}' if curve else name)
    right.set(xlabel='step of fine-tuning', ylabel=metric)
    right.set_ylim(bottom=0)
    if curves:
        right.legend(fontsize=8)
    for part, row in zip(below, rows):
        for axes, (title, picture) in zip(part.subplots(1, columns, squeeze=False)[0], row.items()):
            axes.imshow(picture[..., ::-1])
            axes.set_title(title, fontsize=9)
            axes.set_axis_off()
    return figure_png(figure)


def _draw_curve(axes: Axes, curve: Curve, color: str, name: str) -> None:
    steps, values = zip(*curve) if curve else ((), ())
    axes.plot(steps, values, color=color, label=name, linewidth=1.5, marker='.', markersize=4)
    axes.grid(True, linewidth=0.4, alpha=0.5)
