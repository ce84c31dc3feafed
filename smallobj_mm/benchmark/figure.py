# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Times of stages as stacked bars."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

#: Color-blind safe (Okabe and Ito, 2008).
_COLORS = ('#56b4e9', '#e69f00', '#0072b2', '#cc79a7', '#009e73', '#d55e00')


def draw_speed(
    panels: Sequence[tuple[str, Sequence[tuple[str, Sequence[float]]]]], stages: Sequence[str]
) -> Figure:
    """A horizontal bar for each subject, its stages one after the other, its sum at the end.

    Args:
        panels: Titles and bars; each panel has its own scale. Bars are labels, and the times of
            the stages in ms.
        stages: Names of the stages.

    Returns:
        The figure.
    """
    heights = [0.8 + 0.32 * len(bars) for _, bars in panels]
    figure = Figure(figsize=(8, 0.6 + sum(heights)), layout='constrained')
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(panels), 1, height_ratios=heights)
    for row, (title, bars) in enumerate(panels):
        axes = figure.add_subplot(grid[row, 0])
        _draw_bars(axes, bars)
        axes.set_title(title, fontsize=10, loc='left')
    axes.set_xlabel('ms an image', fontsize=9)
    handles = [Patch(color=color, label=name) for color, name in zip(_COLORS, stages)]
    figure.legend(
        handles=handles, loc='outside upper center', ncols=len(stages), fontsize=8.5, frameon=False
    )
    return figure


def _draw_bars(axes: Axes, bars: Sequence[tuple[str, Sequence[float]]]) -> None:
    rows = range(len(bars))
    left = [0.0] * len(bars)
    for values, color in zip(zip(*(times for _, times in bars)), _COLORS):
        axes.barh(rows, values, left=left, height=0.7, color=color)
        left = [sum(pair) for pair in zip(left, values)]
    for row, total in zip(rows, left):
        axes.annotate(
            f'{total:.1f}', (total, row), (4, 0), textcoords='offset points', va='center',
            fontsize=8,
        )  # fmt: skip
    axes.set_yticks(rows, [label for label, _ in bars], fontsize=8.5)
    axes.tick_params(axis='x', labelsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.1 * max(left))
    axes.grid(True, axis='x', linewidth=0.4, alpha=0.5)
    axes.set_axisbelow(True)
