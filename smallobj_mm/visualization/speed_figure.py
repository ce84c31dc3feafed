# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Times of stages as stacked bars."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

#: Colour-blind safe (Okabe and Ito, 2008).
_COLOURS = ('#56b4e9', '#e69f00', '#0072b2', '#cc79a7', '#009e73', '#d55e00')


def draw_speed(bars: Sequence[tuple[str, Sequence[float]]], stages: Sequence[str]) -> Figure:
    """A horizontal bar for each subject, its stages one after the other, its sum at the end.

    Args:
        bars: Labels, and the times of the stages in ms.
        stages: Names of the stages.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(8, 1.3 + 0.5 * len(bars)), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    left = [0.0] * len(bars)
    for index, stage in enumerate(stages):
        values = [times[index] for _, times in bars]
        axes.barh(
            range(len(bars)), values, left=left, height=0.7, label=stage,
            color=_COLOURS[index % len(_COLOURS)],
        )  # fmt: skip
        left = [sum(pair) for pair in zip(left, values)]
    for row, total in enumerate(left):
        axes.annotate(
            f'{total:.1f}', (total, row), (4, 0), textcoords='offset points', va='center',
            fontsize=8,
        )  # fmt: skip
    axes.set_yticks(range(len(bars)), [label for label, _ in bars], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.1 * max(left))
    axes.set_xlabel('ms an image')
    axes.grid(True, axis='x', linewidth=0.4, alpha=0.5)
    axes.set_axisbelow(True)
    figure.legend(loc='outside upper center', ncols=len(stages), fontsize=8, frameon=False)
    return figure
