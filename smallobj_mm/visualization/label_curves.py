# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A metric against the number of labels, for several ways of pretraining."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from .irstd_figure import figure_png

#: Colors that color-blind readers can tell apart (Okabe and Ito, 2008).
COLORS = ('#000000', '#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')


def draw_label_curves(
    arms: Mapping[str, Mapping[int, Sequence[float]]], metric: str, labels: str
) -> bytes:
    """A line for each arm: the mean over seeds, with bars of one sample standard deviation.

    Args:
        arms: Name of an arm -> number of labels -> values of the runs, one a seed.
        metric: Title of the vertical axis.
        labels: Title of the horizontal axis, which is logarithmic.

    Returns:
        The figure as PNG.
    """
    figure = Figure(figsize=(6.2, 4.0), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    numbers = sorted({number for points in arms.values() for number in points})
    for index, (arm, points) in enumerate(arms.items()):
        shown = sorted(points)
        means = [statistics.fmean(points[number]) for number in shown]
        spreads = [
            statistics.stdev(points[number]) if len(points[number]) > 1 else 0.0 for number in shown
        ]
        # Beside each other, so that the bars of all arms are seen.
        places = [number * 1.02 ** (index - (len(arms) - 1) / 2) for number in shown]
        axes.errorbar(
            places, means, yerr=spreads, label=arm, marker='o', markersize=4, capsize=3,
            linewidth=1.5, color=COLORS[index % len(COLORS)],
        )  # fmt: skip
    axes.set_xscale('log')
    axes.set_xticks(numbers, [str(number) for number in numbers])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(labels)
    axes.set_ylabel(metric)
    axes.set_ylim(bottom=0)
    axes.grid(True, linewidth=0.4, alpha=0.5)
    axes.legend(fontsize=8, framealpha=0.9)
    return figure_png(figure)
